"""Exact integer convolution through floating-point matrix products whose every sum is proven exact."""

from __future__ import annotations

import numpy as np

from hwgen.golden.requantise import requantise
from hwgen.ir.nodes import Padding, Pair, ReconstructedKernel

#: integers up to 2^24 are exact in float32, and so is every partial sum that stays below
_EXACT_FLOAT32 = 1 << 24
_PATCH_BYTES = 4 << 20


def reconstruct(kernel: ReconstructedKernel) -> np.ndarray:
    """The int8 kernel [O, I, Kh, Kw]: cores contracted from the output end, requantised after every step."""
    out, channels, kernel_h, kernel_w = kernel.shape
    product = kernel.first.reshape(-1, kernel.first.shape[-1])  # [rows, r]
    for step in kernel.steps:
        core = step.core.astype(np.float64).reshape(step.core.shape[0], -1)
        acc = product.astype(np.float64) @ core  # int8 sums over a rank are far below 2^53: exact in float64
        product = requantise(acc, step.requantise).reshape(-1, step.core.shape[-1])
    return np.ascontiguousarray(product.reshape(out, kernel_h, kernel_w, channels).transpose(0, 3, 1, 2))


def conv2d(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray, *, stride: Pair, padding: Padding, dilation: Pair, groups: int
) -> np.ndarray:
    """Accumulators of a convolution.

    Args:
        x: int8 [N, H, W, I].
        weight: int8 [O, I/groups, Kh, Kw].
        bias: int32 [O].
        stride, padding, dilation, groups: as in ``QConv2d``; padding is zeros.

    Returns:
        int32 [N, Ho, Wo, O].
    """
    bound = 128 * np.abs(weight.astype(np.int16)).sum(axis=(1, 2, 3), dtype=np.int64) + np.abs(bias.astype(np.int64))
    if bound.max() >= 1 << 31:
        raise OverflowError(f"an accumulator may reach {bound.max()}, more than 31 bits")
    padded = np.pad(x, ((0, 0), padding[:2], padding[2:], (0, 0)))
    out, per_group = weight.shape[0] // groups, weight.shape[1]
    parts = [
        _group(padded[..., g * per_group:(g + 1) * per_group], weight[g * out:(g + 1) * out], stride, dilation)
        for g in range(groups)
    ]
    acc = parts[0] if groups == 1 else np.concatenate(parts, axis=-1)
    acc += bias
    return acc


def _group(padded: np.ndarray, weight: np.ndarray, stride: Pair, dilation: Pair) -> np.ndarray:
    """int32 [N, Ho, Wo, O] of one group, without bias."""
    kernel_h, kernel_w = weight.shape[2:]
    images, height, width = padded.shape[:3]
    span_h, span_w = dilation[0] * (kernel_h - 1) + 1, dilation[1] * (kernel_w - 1) + 1
    out_h, out_w = (height - span_h) // stride[0] + 1, (width - span_w) // stride[1] + 1
    matrix = weight.transpose(2, 3, 1, 0).reshape(-1, weight.shape[0]).astype(np.float32)  # [(ky, kx, i), O]
    slices = _exact_slices(matrix)
    result = np.empty((images, out_h, out_w, weight.shape[0]), np.int32)
    block = max(1, _PATCH_BYTES // (4 * matrix.shape[0] * out_h * out_w))
    for begin in range(0, images, block):
        source = padded[begin:begin + block].astype(np.float32)
        count = source.shape[0]
        windows = np.lib.stride_tricks.sliding_window_view(source, (span_h, span_w), axis=(1, 2))
        windows = windows[:, ::stride[0], ::stride[1], :, ::dilation[0], ::dilation[1]]
        patches = windows.transpose(0, 1, 2, 4, 5, 3).reshape(count * out_h * out_w, matrix.shape[0])
        target = result[begin:begin + block].reshape(count * out_h * out_w, weight.shape[0])
        target[...] = patches[:, slices[0]] @ matrix[slices[0]]
        for part in slices[1:]:
            target += (patches[:, part] @ matrix[part]).astype(np.int32)
    return result


def _exact_slices(matrix: np.ndarray) -> list[slice]:
    """Consecutive rows of ``matrix`` [K, O] such that in each slice no sum with int8 data can reach 2^24."""
    if 128 * float(np.abs(matrix).sum(axis=0, dtype=np.float64).max()) < _EXACT_FLOAT32:
        return [slice(0, matrix.shape[0])]
    magnitude = 128 * np.abs(matrix).astype(np.int64)
    slices, begin, total = [], 0, np.zeros(matrix.shape[1], np.int64)
    for row in range(matrix.shape[0]):
        total = total + magnitude[row]
        if total.max() >= _EXACT_FLOAT32:
            slices.append(slice(begin, row))
            begin, total = row, magnitude[row].copy()
    slices.append(slice(begin, matrix.shape[0]))
    return slices
