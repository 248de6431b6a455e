"""Padding arithmetic against brute force."""

from __future__ import annotations

import itertools

import torch
from torch.nn import functional

from hwgen.frontend.windows import ceil_padding, same_padding
from hwgen.ir.shapes import window_count


def test_ceil_padding_gives_the_windows_of_ceil_mode():
    for size, kernel, stride, pad in itertools.product(range(3, 12), (2, 3, 4), (1, 2, 3), (0, 1)):
        if 2 * pad > kernel or size + 2 * pad < kernel:
            continue
        expected = functional.max_pool2d(torch.zeros(1, 1, size, size), kernel, stride, pad, ceil_mode=True).shape[2]
        padding = ceil_padding((size, size), (kernel, kernel), (stride, stride), (pad,) * 4)
        assert window_count(size, kernel, stride, padding[:2]) == expected
        assert padding[0] == pad and padding[1] >= pad


def test_same_padding_keeps_the_size_divided_by_the_stride():
    for size, kernel, stride, dilation in itertools.product(range(1, 12), (1, 2, 3, 5), (1, 2, 3), (1, 2)):
        upper = same_padding((size,) * 2, (kernel,) * 2, (stride,) * 2, (dilation,) * 2, upper=True)
        lower = same_padding((size,) * 2, (kernel,) * 2, (stride,) * 2, (dilation,) * 2, upper=False)
        assert window_count(size, kernel, stride, upper[:2], dilation=dilation) == -(-size // stride)
        assert upper[0] == lower[1] and upper[1] == lower[0] and upper[1] - upper[0] in (0, 1)
