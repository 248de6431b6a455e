"""The fewest cycles of a cold frame that an array, a weight buffer and a memory allow, whatever the engine does."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from math import ceil

#: pieces in which a buffer full of weights is followed; what holds one up inside is left out: the result is a bound
PIECES = 256


def limit_cycles(work: Sequence[tuple[float, float]], bytes_per_cycle: float, buffer_bytes: float) -> float:
    """Cycles of a frame with ideal compute and without any latency.

    Weights arrive in order at full bandwidth as long as the buffer has room; an operation uses its weights evenly while
    it computes and ends when it has been computed and its last weights have arrived.

    Args:
        work: per operation, its ideal cycles and the bytes of its weights.
        bytes_per_cycle: of the memory.
        buffer_bytes: weights that fit on the chip, those inside the array included.
    """
    ends: list[tuple[float, float, float]] = []  # bytes used behind each piece, its begin and end
    end = loaded = used = 0.0
    for cycles, size in work:
        pieces = max(1, ceil(PIECES * size / buffer_bytes))
        for _ in range(pieces):
            used += size / pieces
            room = _time_of_use(ends, used - buffer_bytes)
            loaded = max(loaded + size / pieces / bytes_per_cycle, room)
            begin = end
            end = max(begin + cycles / pieces, loaded if size else 0.0)
            ends.append((used, begin, end))
    return end


def _time_of_use(ends: Sequence[tuple[float, float, float]], amount: float) -> float:
    """When ``amount`` bytes have been used."""
    if amount <= 0 or not ends:
        return 0.0
    at = min(bisect_left(ends, (amount,)), len(ends) - 1)
    total, begin, end = ends[at]
    before = ends[at - 1][0] if at else 0.0
    share = min(1.0, (amount - before) / max(total - before, 1e-9))
    return begin + share * (end - begin)
