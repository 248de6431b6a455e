"""Requantisation records as they lie in the weight stream."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwgen.emulator.violation import require


@dataclass(frozen=True)
class Records:
    """Requantisation records of one output block, int64 [channels]."""

    bias: np.ndarray
    multiplier: np.ndarray
    residual: np.ndarray
    shift: np.ndarray


def decode_records(raw: np.ndarray, where: str, *, shifted: bool) -> Records:
    """Records from uint8 [channels, 16].

    Args:
        shifted: results are requantised, so the shifts matter.

    Raises:
        ContractViolation: reserved bytes in use, or a shift outside 1..47.
    """
    def field(first: int, size: int, kind: str) -> np.ndarray:
        return np.ascontiguousarray(raw[:, first:first + size]).view(kind).reshape(-1).astype(np.int64)

    records = Records(field(0, 4, "<i4"), field(4, 2, "<u2"), field(6, 2, "<u2"), field(8, 1, "u1"))
    require(not raw[:, 9:].any(), "reserved bytes of a record are not zero", where)
    if shifted:
        require(bool(records.shift.min() >= 1 and records.shift.max() <= 47), "shift outside 1..47", where)
    return records
