"""The loop nest's accumulators, from the jumps of a descriptor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


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


class StepAccumulator:
    """The same accumulator, one step of ``slots`` iterations (the product of the first counts) at a time.

    Iteration ``outer * slots + i`` has the value of iteration ``i`` plus what the completed steps have added.
    """

    def __init__(self, counts: Sequence[int], jumps: Sequence[int], base: int, slots: int) -> None:
        self.counts, self.jumps, self.slots = tuple(counts), tuple(jumps), slots
        self.grid = accumulate(np.arange(slots, dtype=np.int64), counts, jumps, base)

    def step(self, outer: int) -> np.ndarray:
        """Values int64 [slots] of step ``outer``."""
        added, rest = 0, outer * self.slots
        for count, jump in zip(self.counts, self.jumps, strict=True):
            rest, counter = divmod(rest, count)
            added += jump * (counter + (count - 1) * rest)
        return self.grid + added


def wrap_signed(value: np.ndarray, bits: int) -> np.ndarray:
    """Two's complement of ``bits`` bits."""
    half = 1 << (bits - 1)
    return (value + half) % (1 << bits) - half
