"""The loop nest's accumulators, from the jumps of a descriptor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def counter_digits(n: np.ndarray, counts: Sequence[int]) -> list[np.ndarray]:
    """Loop counters of iteration ``n`` (first loop fastest)."""
    digits = []
    for count in counts:
        digits.append(n % count)
        n = n // count
    return digits


def accumulate(n: np.ndarray, counts: Sequence[int], jumps: Sequence[int], base: int) -> np.ndarray:
    """Value of a jump-driven accumulator at iteration ``n``: base plus every jump as often as its loop has stepped.

    Loop k has stepped ``counter_k`` times in its current pass and ``count_k - 1`` times in each completed pass.
    """
    value = np.full(n.shape, base, np.int64)
    rest = n
    for count, jump in zip(counts, jumps, strict=True):
        counter, passes = rest % count, rest // count
        if jump:
            value += jump * (counter + (count - 1) * passes)
        rest = passes
    return value


def wrap_signed(value: np.ndarray, bits: int) -> np.ndarray:
    """Two's complement of ``bits`` bits."""
    half = 1 << (bits - 1)
    return (value + half) % (1 << bits) - half
