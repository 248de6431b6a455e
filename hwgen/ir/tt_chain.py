"""A TT layer written as the chain of convolutions that it is (docs/architecture.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from hwgen.ir.nodes import Conv2d, Padding, Pair, TTConv2d, TTExecution
from hwgen.ir.shapes import tt_kernel_shape


@dataclass(frozen=True, kw_only=True)
class ChainConv:
    """One convolution of the chain: ``weight`` float32 [O, I, Kh, Kw] and its share of the layer's geometry."""

    weight: np.ndarray
    stride: Pair
    padding: Padding
    dilation: Pair


def core_kernel(core: np.ndarray, group: str) -> np.ndarray:
    """Kernel [O, I, Kh, Kw] of the core [r, *modes of ``group``, r'] (a rank takes the place of a missing I or O)."""
    left, right = core.shape[0], core.shape[-1]
    sizes = dict(zip(group, core.shape[1:-1], strict=True))
    out = sizes.get("O", 1) * right
    channels = left * sizes.get("I", 1)
    # [r, (I), (H), (W), (O), r']: consecutive modes, so I follows r directly and O precedes r' directly
    full = core.reshape(channels, sizes.get("H", 1), sizes.get("W", 1), out)
    return np.ascontiguousarray(full.transpose(3, 0, 1, 2))


def chain_convs(node: TTConv2d) -> tuple[ChainConv, ...]:
    """The convolutions that ``node`` equals, first to last; the last one carries the layer's bias.

    The core that holds H takes the vertical stride, padding and dilation, the core that holds W the horizontal ones. A
    1x1 layer without padding strides in its first core, where it saves most.
    """
    chain = []
    for index, (core, group) in enumerate(zip(node.cores, node.grouping, strict=True)):
        stride, padding, dilation = _share(node, index, group)
        chain.append(ChainConv(weight=core_kernel(core, group), stride=stride, padding=padding, dilation=dilation))
    return tuple(chain)


def _share(node: TTConv2d, index: int, letters: str) -> tuple[Pair, Padding, Pair]:
    """Stride, padding and dilation of convolution ``index`` of the chain, which holds the modes ``letters``."""
    _, _, kernel_h, kernel_w = tt_kernel_shape(node)
    early = (kernel_h, kernel_w) == (1, 1) and not any(node.padding)
    vertical = index == 0 if early else "H" in letters
    horizontal = index == 0 if early else "W" in letters
    top, bottom, left, right = node.padding
    return (
        (node.stride[0] if vertical else 1, node.stride[1] if horizontal else 1),
        (top if vertical else 0, bottom if vertical else 0, left if horizontal else 0, right if horizontal else 0),
        (node.dilation[0] if vertical else 1, node.dilation[1] if horizontal else 1),
    )


def chain_nodes(node: TTConv2d) -> tuple[Conv2d | TTConv2d, ...]:
    """The nodes that a planned layer runs as: a convolution per core, a train to reconstruct per segment of several.

    Their shapes are left empty. A node that is not the last is named after the last core of the layer's own train that
    it holds, so a tensor has one name and one meaning however the cores are merged.
    """
    whole = (len(node.cores),) if node.execution is TTExecution.RECONSTRUCT else (1,) * len(node.cores)
    segments = node.segments or whole
    ends = list(accumulate(node.spans or (1,) * len(node.cores)))
    source, at = node.inputs[0], 0
    out: list[Conv2d | TTConv2d] = []
    for index, count in enumerate(segments):
        cores, groups = node.cores[at:at + count], node.grouping[at:at + count]
        at += count
        name = node.name if len(segments) == 1 else f"{node.name}.core{ends[at - 1] - 1}"
        bias = node.bias if at == len(node.cores) else np.zeros(cores[-1].shape[-1], np.float32)
        stride, padding, dilation = _share(node, index, "".join(groups))
        if count == 1:
            out.append(Conv2d(name=name, inputs=(source,), shape=(), weight=core_kernel(cores[0], groups[0]), bias=bias,
                              stride=stride, padding=padding, dilation=dilation))
        else:
            closed, grouping = _closed(cores, groups)
            out.append(TTConv2d(name=name, inputs=(source,), shape=(), cores=closed, grouping=grouping, bias=bias,
                                stride=stride, padding=padding, dilation=dilation, execution=TTExecution.RECONSTRUCT))
        source = name
    return tuple(out)


def _closed(cores: Sequence[np.ndarray], groups: Sequence[str]) -> tuple[tuple[np.ndarray, ...], tuple[str, ...]]:
    """Neighbouring cores as a train of their own: outer ranks take the places of I and O, all taps are in one core."""
    place = next((k for k, group in enumerate(groups) if set(group) & set("HW")), 0)
    shaped, grouping = [], []
    for k, (core, group) in enumerate(zip(cores, groups, strict=True)):
        sizes = dict(zip(group, core.shape[1:-1], strict=True))
        left, right = core.shape[0], core.shape[-1]
        letters, modes = "", []
        if k == 0:
            letters, modes, left = "I", [left * sizes.get("I", 1)], 1
        if k == place:
            letters, modes = letters + "HW", [*modes, sizes.get("H", 1), sizes.get("W", 1)]
        if k == len(cores) - 1:
            letters, modes, right = letters + "O", [*modes, sizes.get("O", 1) * right], 1
        shaped.append(core.reshape(left, *modes, right))
        grouping.append(letters)
    return tuple(shaped), tuple(grouping)


def dense_kernel(node: TTConv2d) -> np.ndarray:
    """The kernel float64 [O, I, Kh, Kw] that the cores contract to."""
    out, channels, kernel_h, kernel_w = tt_kernel_shape(node)
    product = np.ones((1, 1))
    for core in node.cores:
        product = product @ core.astype(np.float64).reshape(core.shape[0], -1)
        product = product.reshape(-1, core.shape[-1])
    return product.reshape(channels, kernel_h, kernel_w, out).transpose(3, 0, 1, 2)
