"""The one rounding rule of the contract (docs/numerics.md)."""

from __future__ import annotations

import numpy as np

from hwgen.ir.nodes import Requantise

#: values at a time, so that the 64-bit intermediates stay in the cache
_BLOCK = 1 << 14


def requantise(acc: np.ndarray, parameters: Requantise, residual: np.ndarray | None = None) -> np.ndarray:
    """``clamp((acc*M + res*R + 2^(S-1)) >> S, lo, hi)``, channels last.

    Args:
        acc: integers [..., C] of any dtype (floating point holding integers too), |acc| < 2^31.
        parameters: M, R, S per channel and the clamp.
        residual: int8 [..., C] or None.

    Returns:
        int8 [..., C].
    """
    channels = acc.shape[-1]
    rows = acc.reshape(-1, channels)
    residual_rows = None if residual is None else residual.reshape(-1, channels)
    half = np.int64(1) << (parameters.shift - 1)
    result = np.empty(rows.shape, np.int8)
    block = max(1, _BLOCK // channels)
    for begin in range(0, len(rows), block):
        part = slice(begin, begin + block)
        total = rows[part].astype(np.int64)
        total *= parameters.multiplier
        if residual_rows is not None:
            total += residual_rows[part].astype(np.int64) * parameters.residual_multiplier
        total += half
        total >>= parameters.shift
        result[part] = np.clip(total, parameters.lo, parameters.hi, out=total)
    return result.reshape(acc.shape)
