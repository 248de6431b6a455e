"""The operator ``hwgen::tt_conv2d``: one graph node per TT layer in an exported program."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from hwgen.tt.form import parse_grouping


def contract_cores(cores: Sequence[Tensor]) -> Tensor:
    """Dense kernel [O, I, Kh, Kw] of a train over (I, Kh, Kw, O); differentiable."""
    product = cores[0]
    for core in cores[1:]:
        product = torch.tensordot(product, core, dims=1)
    return product.reshape(product.shape[1:-1]).permute(3, 0, 1, 2)


def core_kernel(core: Tensor, group: str) -> Tensor:
    """A core [r, modes of its group, r'] as the kernel [out, in, kh, kw] of the convolution that applies it.

    ``in`` is I for the first core and r otherwise, ``out`` is O for the last one and r' otherwise.
    """
    inputs = core.shape[0] * (core.shape[1] if "I" in group else 1)
    rows = core.shape[1 + group.index("H")] if "H" in group else 1
    columns = core.shape[1 + group.index("W")] if "W" in group else 1
    return core.reshape(inputs, rows, columns, -1).permute(3, 0, 1, 2)


def apply_chain(
    x: Tensor,
    cores: Sequence[Tensor],
    bias: Tensor | None,
    *,
    stride: Sequence[int],
    padding: Sequence[int],
    grouping: Sequence[str],
) -> Tensor:
    """Apply the cores to ``x`` [N, I, H, W] one after the other; the same function as the contracted kernel.

    The core that holds Kh brings the vertical stride and padding, the one that holds Kw the horizontal ones.
    """
    for index, (core, group) in enumerate(zip(cores, grouping, strict=True)):
        vertical, horizontal = "H" in group, "W" in group
        x = functional.conv2d(
            x,
            core_kernel(core, group),
            bias if index == len(cores) - 1 else None,
            stride=(stride[0] if vertical else 1, stride[1] if horizontal else 1),
            padding=(padding[0] if vertical else 0, padding[1] if horizontal else 0),
        )
    return x


@torch.library.custom_op("hwgen::tt_conv2d", mutates_args=())
def tt_conv2d(  # noqa: PLR0917 - a positional operator schema, which the front end reads by position
    x: Tensor, cores: list[Tensor], bias: Tensor | None, stride: list[int], padding: list[int], grouping: str
) -> Tensor:
    """Convolution of ``x`` [N, I, H, W] with a kernel in TT form; inference only.

    Args:
        x: input maps.
        cores: core k is [r_k, modes of its group, r_(k+1)], outer ranks 1.
        bias: [O] or None.
        stride, padding: (vertical, horizontal).
        grouping: mode letters per core, for example ``"I|HW|O"``.
    """
    parse_grouping(grouping)
    return functional.conv2d(x, contract_cores(cores), bias, stride=stride, padding=padding)


@tt_conv2d.register_fake
def _(  # noqa: PLR0917
    x: Tensor, cores: list[Tensor], bias: Tensor | None, stride: list[int], padding: list[int], grouping: str
) -> Tensor:
    out_channels, _, rows, columns = contract_cores(cores).shape
    height = (x.shape[2] + 2 * padding[0] - rows) // stride[0] + 1
    width = (x.shape[3] + 2 * padding[1] - columns) // stride[1] + 1
    return x.new_empty((x.shape[0], out_channels, height, width))
