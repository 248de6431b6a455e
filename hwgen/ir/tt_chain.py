"""A TT layer written as the chain of ordinary convolutions that it is (docs/architecture.md)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwgen.ir.nodes import Padding, Pair, TTConv2d
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
    _, _, kernel_h, kernel_w = tt_kernel_shape(node)
    early = (kernel_h, kernel_w) == (1, 1) and not any(node.padding)
    top, bottom, left, right = node.padding
    chain = []
    for index, (core, group) in enumerate(zip(node.cores, node.grouping, strict=True)):
        vertical = index == 0 if early else "H" in group
        horizontal = index == 0 if early else "W" in group
        chain.append(ChainConv(
            weight=core_kernel(core, group),
            stride=(node.stride[0] if vertical else 1, node.stride[1] if horizontal else 1),
            padding=(top if vertical else 0, bottom if vertical else 0, left if horizontal else 0,
                     right if horizontal else 0),
            dilation=(node.dilation[0] if vertical else 1, node.dilation[1] if horizontal else 1),
        ))
    return tuple(chain)


def dense_kernel(node: TTConv2d) -> np.ndarray:
    """The kernel float64 [O, I, Kh, Kw] that the cores contract to."""
    out, channels, kernel_h, kernel_w = tt_kernel_shape(node)
    product = np.ones((1, 1))
    for core in node.cores:
        product = product @ core.astype(np.float64).reshape(core.shape[0], -1)
        product = product.reshape(-1, core.shape[-1])
    return product.reshape(channels, kernel_h, kernel_w, out).transpose(3, 0, 1, 2)
