"""The fewest bytes whose importance reaches a threshold: a 0-1 knapsack solved exactly over quantised values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwgen.errors import HwgenError

#: sum of all quantised importances
LEVELS = 20_000
_NEVER = np.iinfo(np.int64).max // 4


@dataclass(frozen=True, kw_only=True)
class Packing:
    """Args:
        chosen: positions of the chosen items, ascending.
        bytes: their size.
        value: their quantised importance; at least ``threshold``.
        threshold: quantised threshold.
    """

    chosen: tuple[int, ...]
    bytes: int
    value: int
    threshold: int


def quantise_values(values: Sequence[float], levels: int = LEVELS) -> np.ndarray:
    """``values`` scaled so that they sum to about ``levels``, rounded; int64 [n]. Nothing above zero becomes zero."""
    array = np.asarray(values, np.float64)
    if not (np.isfinite(array).all() and (array >= 0).all() and array.sum() > 0):
        raise HwgenError("importances must be finite, none negative, and not all zero", where="selection")
    return np.maximum(np.rint(array * (levels / array.sum())), array > 0).astype(np.int64)


def fewest_bytes(values: Sequence[int] | np.ndarray, sizes: Sequence[int], threshold: int) -> Packing:
    """Subset of items with the smallest total size among those whose values sum to at least ``threshold``.

    ``dp[v]`` = fewest bytes that reach value v, values above the threshold counting as the threshold, item by item
    (TT-SEAL, arXiv 2602.22238: value-DP); O(n · threshold) time, one bit per cell to walk back.

    Args:
        values: quantised importances, not negative, [n].
        sizes: bytes, not negative, [n].
        threshold: to reach, at most the sum of ``values``.

    Raises:
        HwgenError: the threshold cannot be reached.
    """
    total = int(np.sum(values))
    if threshold > total:
        raise HwgenError(f"no items reach a threshold of {threshold}", where="selection", allowed=f"0 .. {total}")
    goal = max(0, int(threshold))
    best = np.full(goal + 1, _NEVER, np.int64)
    best[0] = 0
    taken = np.zeros((len(sizes), goal + 1), bool)
    for item, (value, size) in enumerate(zip(values, sizes, strict=True)):
        before = np.maximum(np.arange(goal + 1) - int(value), 0)  # what the others have to reach
        with_item = best[before] + int(size)
        taken[item] = with_item < best
        best = np.where(taken[item], with_item, best)
    chosen, at = [], goal
    for item in range(len(sizes) - 1, -1, -1):
        if taken[item, at]:
            chosen.append(item)
            at = max(at - int(values[item]), 0)
    chosen.reverse()
    return Packing(chosen=tuple(chosen), bytes=int(best[goal]), threshold=goal,
                   value=int(sum(int(values[i]) for i in chosen)))
