"""Exact pooling over int8 maps, channels last."""

from __future__ import annotations

import numpy as np

from hwgen.ir.nodes import Padding, Pair


def _taps(x: np.ndarray, kernel: Pair, stride: Pair, padding: Padding, fill: int) -> list[np.ndarray]:
    padded = np.pad(x, ((0, 0), padding[:2], padding[2:], (0, 0)), constant_values=fill)
    out_h = (padded.shape[1] - kernel[0]) // stride[0] + 1
    out_w = (padded.shape[2] - kernel[1]) // stride[1] + 1
    return [
        padded[:, ky:ky + (out_h - 1) * stride[0] + 1:stride[0], kx:kx + (out_w - 1) * stride[1] + 1:stride[1]]
        for ky in range(kernel[0]) for kx in range(kernel[1])
    ]


def max_pool(x: np.ndarray, kernel: Pair, stride: Pair, padding: Padding) -> np.ndarray:
    """int8 [N, H, W, C] -> int8 [N, Ho, Wo, C]; padding is -128."""
    taps = _taps(x, kernel, stride, padding, -128)
    result = taps[0].copy()
    for tap in taps[1:]:
        np.maximum(result, tap, out=result)
    return result


def window_sum(x: np.ndarray, kernel: Pair, stride: Pair, padding: Padding) -> np.ndarray:
    """int8 [N, H, W, C] -> int32 [N, Ho, Wo, C]; padding is 0."""
    taps = _taps(x, kernel, stride, padding, 0)
    result = taps[0].astype(np.int32)
    for tap in taps[1:]:
        result += tap
    return result
