"""A convolution whose kernel is a tensor train, as a torch module."""

from __future__ import annotations

from typing import Literal, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hwgen.tt.decompose import Decomposition
from hwgen.tt.form import TtForm
from hwgen.zoo.tt_op import apply_chain, contract_cores

#: How ``TTConv2d.forward`` computes: through the contracted kernel, or core by core. One function, two speeds.
Execution = Literal["dense", "chain"]


class TTConv2d(nn.Module):
    """Convolution with cores over consecutive groups of the modes (I, Kh, Kw, O), without anything between the cores.

    Parameters ``core_0`` .. ``core_(n-1)``: core k is [r_k, modes of its group, r_(k+1)], r_0 = r_n = 1; ``bias`` [O]
    or None. Under ``torch.export`` the layer is one node, ``hwgen::tt_conv2d``.

    Args:
        in_channels, out_channels, kernel, stride, padding: as in ``nn.Conv2d``, pairs (vertical, horizontal).
        form: grouping and ranks.
        bias: whether there is a bias.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: tuple[int, int],
        form: TtForm,
        *,
        stride: tuple[int, int] = (1, 1),
        padding: tuple[int, int] = (0, 0),
        bias: bool = False,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels, self.kernel = in_channels, out_channels, kernel
        self.form, self.stride, self.padding = form, stride, padding
        self.execution: Execution = "dense"
        modes = {"I": in_channels, "H": kernel[0], "W": kernel[1], "O": out_channels}
        for index, shape in enumerate(form.core_shapes(modes)):
            self.register_parameter(f"core_{index}", nn.Parameter(torch.empty(shape)))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.reset_parameters()

    @classmethod
    def like(cls, conv: nn.Conv2d, form: TtForm) -> TTConv2d:
        """A TT layer of the geometry of ``conv`` (groups and dilation 1), freshly initialised."""
        return cls(
            conv.in_channels,
            conv.out_channels,
            cast("tuple[int, int]", conv.kernel_size),
            form,
            stride=cast("tuple[int, int]", conv.stride),
            padding=cast("tuple[int, int]", conv.padding),
            bias=conv.bias is not None,
        )

    @property
    def grouping(self) -> str:
        """Mode letters per core, separated by ``|``."""
        return "|".join(self.form.grouping)

    @property
    def cores(self) -> list[Tensor]:
        """The cores in order."""
        return [self.get_parameter(f"core_{index}") for index in range(len(self.form.grouping))]

    def reset_parameters(self) -> None:
        """Normal cores such that the contracted kernel has the variance of Kaiming's initialisation."""
        fan_in = self.in_channels * self.kernel[0] * self.kernel[1]
        # each inner index is a sum of r products: Var(W) = prod(r) * prod(Var(core))
        variance = (2.0 / fan_in / float(np.prod(self.form.ranks))) ** (1.0 / len(self.form.grouping))
        for core in self.cores:
            nn.init.normal_(core, std=variance**0.5)

    @torch.no_grad()
    def load_decomposition(self, decomposition: Decomposition) -> None:
        """Copy the cores of a decomposition of the same form."""
        for parameter, core in zip(self.cores, decomposition.cores, strict=True):
            parameter.copy_(torch.from_numpy(core).to(parameter.dtype))

    def forward(self, x: Tensor) -> Tensor:
        """[N, I, H, W] -> [N, O, H', W']."""
        if torch.compiler.is_exporting():
            return torch.ops.hwgen.tt_conv2d(
                x, self.cores, self.bias, list(self.stride), list(self.padding), self.grouping
            )
        if self.execution == "chain":
            return apply_chain(
                x, self.cores, self.bias, stride=self.stride, padding=self.padding, grouping=self.form.grouping
            )
        return functional.conv2d(x, contract_cores(self.cores), self.bias, stride=self.stride, padding=self.padding)

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.out_channels}, kernel={self.kernel}, stride={self.stride}, "
            f"padding={self.padding}, grouping={self.grouping!r}, ranks={list(self.form.ranks)}"
        )
