"""The one rounding rule of the contract (docs/numerics.md)."""

from __future__ import annotations

import numpy as np

from hwgen.ir.nodes import Requantise


def requantise(acc: np.ndarray, parameters: Requantise, residual: np.ndarray | None = None) -> np.ndarray:
    """``clamp((acc*M + res*R + 2^(S-1)) >> S, lo, hi)``, channels last.

    Args:
        acc: integers [..., C], |acc| < 2^31.
        parameters: M, R, S per channel and the clamp.
        residual: int8 [..., C] or None.

    Returns:
        int8 [..., C].
    """
    total = acc.astype(np.int64)
    total *= parameters.multiplier
    if residual is not None:
        total += residual.astype(np.int64) * parameters.residual_multiplier
    total += np.int64(1) << (parameters.shift - 1)
    total >>= parameters.shift
    return np.clip(total, parameters.lo, parameters.hi).astype(np.int8)
