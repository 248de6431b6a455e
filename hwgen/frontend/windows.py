"""Padding arithmetic of sliding windows: automatic padding and ceil mode, turned into explicit padding."""

from __future__ import annotations

from hwgen.ir.nodes import Padding, Pair


def same_padding(size: Pair, kernel: Pair, stride: Pair, dilation: Pair, upper: bool) -> Padding:
    """Explicit padding of SAME_UPPER (``upper``) or SAME_LOWER for a map of ``size`` (H, W)."""
    sides: list[int] = []
    for s, k, step, d in zip(size, kernel, stride, dilation, strict=True):
        total = max(0, (-(-s // step) - 1) * step + d * (k - 1) + 1 - s)
        small, large = total // 2, total - total // 2
        sides += [small, large] if upper else [large, small]
    return sides[0], sides[1], sides[2], sides[3]


def ceil_padding(size: Pair, kernel: Pair, stride: Pair, padding: Padding) -> Padding:
    """Padding with which floor mode gives the windows of ceil mode.

    The last window of ceil mode must begin inside the map or its leading padding (torch and ONNX agree on this).
    """
    sides: list[int] = []
    for axis in range(2):
        before, after = padding[2 * axis], padding[2 * axis + 1]
        span = size[axis] + before + after - kernel[axis]
        count = -(-span // stride[axis]) + 1
        if (count - 1) * stride[axis] >= size[axis] + before:
            count -= 1
        # never less than the stated padding: floor mode ignores what does not fill a stride
        needed = (count - 1) * stride[axis] + kernel[axis] - size[axis] - before
        sides += [before, max(after, needed)]
    return sides[0], sides[1], sides[2], sides[3]
