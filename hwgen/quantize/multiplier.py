"""Real ratios as the integer multipliers and shifts of the requantisation (docs/numerics.md)."""

from __future__ import annotations

import numpy as np

from hwgen.errors import HwgenError

MAX_MULTIPLIER = 65535
MIN_SHIFT, MAX_SHIFT = 1, 47


def shifts(ratios: np.ndarray, where: str) -> np.ndarray:
    """The largest legal shift per channel: ``ceil(ratio * 2^S) <= 65535`` for every row of ``ratios`` [rows, C].

    Raises:
        HwgenError: a ratio above 2^15 leaves no legal shift.
    """
    largest = np.maximum(np.asarray(ratios, np.float64).max(axis=0), 2.0**-60)
    found = np.floor(np.log2(MAX_MULTIPLIER / largest)).astype(np.int64)
    found = np.where(np.ceil(largest * np.exp2(found)) > MAX_MULTIPLIER, found - 1, found)
    if found.min() < MIN_SHIFT:
        raise HwgenError(
            f"a scale ratio of {largest.max():.3g} cannot be expressed", where=where, allowed="ratios up to 2^15",
            hint="the tensor's range is far smaller than its inputs'; check the calibration images",
        )
    return np.minimum(found, MAX_SHIFT)


def nearest(ratio: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """``round(ratio * 2^S)`` as int64 [C], within 0..65535."""
    return np.clip(np.rint(ratio * np.exp2(shift)), 0, MAX_MULTIPLIER).astype(np.int64)


def not_below(ratio: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """``ceil(ratio * 2^S)`` as int64 [C], at least 1: for ratios that may grow a little to become exact."""
    return np.clip(np.ceil(ratio * np.exp2(shift)), 1, MAX_MULTIPLIER).astype(np.int64)
