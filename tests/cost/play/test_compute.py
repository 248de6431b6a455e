"""What the array leaves of a bank to the units that read beside it."""

from __future__ import annotations

import pytest

from hwgen.compiler.descriptor import Descriptor
from hwgen.cost.play.compute import words_between
from hwgen.isa.layout import ComputeFlag, Opcode


def convolution(width: int, height: int, rows: int, kernel: int, *, first: int, pair: bool = True, stride: int = 1,
                ) -> Descriptor:
    """Rows [first, first + rows) of a convolution of three input blocks that keeps the map's size (at stride 1)."""
    blocks_in = 3
    pad = kernel // 2
    step = 2 if pair else stride
    columns = -(-width // (2 if pair else stride))
    plane = (width * height) | 1
    return Descriptor(
        node="conv", operation=0, opcode=Opcode.CONV, flags=frozenset({ComputeFlag.PAIR} if pair else ()),
        counts=(columns, rows, kernel, kernel, blocks_in, 2), src_base=(first * stride - pad) * width - pad,
        src_strides=(step, width * stride, 1, width, plane, 0), iy_base=first * stride - pad,
        iy_strides=(0, stride, 0, 1, 0, 0), ix_base=-pad, ix_strides=(step, 0, 1, 0, 0, 0), height=height, width=width,
        dst=(0, 1, width, plane, 1), last_words=0, lo=0, hi=0, steps=kernel * kernel * blocks_in)


def step_by_step(d: Descriptor) -> int:
    """Words that a unit gets which reads word after word, where the array leaves its half of the bank free."""
    got, parity = 0, 0
    pair = ComputeFlag.PAIR in d.flags
    for _ in range(d.counts[5]):
        for block in range(d.counts[4]):
            for ky in range(d.counts[3]):
                for kx in range(d.counts[2]):
                    for y in range(d.counts[1]):
                        for x in range(d.counts[0]):
                            at = (x, y, kx, ky, block)
                            row = d.iy_base + sum(a * s for a, s in zip(at, d.iy_strides, strict=False))
                            column = d.ix_base + sum(a * s for a, s in zip(at, d.ix_strides, strict=False))
                            word = d.src_base + sum(a * s for a, s in zip(at, d.src_strides, strict=False))
                            used = {(word + k) % 2 for k in range(2 if pair else 1)
                                    if 0 <= row < d.height and 0 <= column + k < d.width}
                            if parity not in used:
                                got, parity = got + 1, 1 - parity
    return got


@pytest.mark.parametrize("width", [12, 13, 24])
@pytest.mark.parametrize(("kernel", "rows"), [(3, 3), (3, 1), (5, 2), (1, 4)])
@pytest.mark.parametrize("first", [0, 4, 9])
def test_words_between_pairs(width: int, kernel: int, rows: int, first: int) -> None:
    rows = min(rows, 12 - first)
    d = convolution(width, 12, rows, kernel, first=first)
    assert words_between(d) == pytest.approx(step_by_step(d), abs=2)  # the second block begins where the first ended


def test_words_between_at_stride_two() -> None:
    d = convolution(24, 24, 4, 3, first=4, pair=False, stride=2)
    assert words_between(d) == pytest.approx(step_by_step(d), abs=2)
