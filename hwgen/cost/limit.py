"""The fewest cycles of a cold frame that an array, a weight buffer and a memory allow, whatever the engine does."""

from __future__ import annotations

from collections.abc import Sequence


def limit_cycles(work: Sequence[tuple[float, float]], bytes_per_cycle: float, buffer_bytes: float) -> float:
    """Cycles of a frame with ideal compute and without any latency.

    Weights arrive in order at full bandwidth as long as the buffer has room; an operation uses its weights evenly while
    it computes and ends when it has been computed and its last weights have arrived.

    Args:
        work: per operation, its ideal cycles and the bytes of its weights.
        bytes_per_cycle: of the memory.
        buffer_bytes: weights that fit on the chip.
    """
    ends: list[tuple[float, float, float]] = []  # bytes used before and behind each operation, its end
    end = loaded = used = 0.0
    for cycles, size in work:
        total = used + size
        room = _time_of_use(ends, total - buffer_bytes)
        loaded = max(loaded + size / bytes_per_cycle, room)
        begin = end
        end = max(begin + cycles, loaded if size else 0.0)
        ends.append((total, begin, end))
        used = total
    return end


def _time_of_use(ends: Sequence[tuple[float, float, float]], amount: float) -> float:
    """When ``amount`` bytes have been used."""
    if amount <= 0:
        return 0.0
    before = 0.0
    for total, begin, end in ends:
        if total >= amount:
            share = (amount - before) / max(total - before, 1e-9)
            return begin + share * (end - begin)
        before = total
    return ends[-1][2] if ends else 0.0
