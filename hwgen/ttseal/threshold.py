"""How much has to be encrypted: the shortest prefix of the ranking at which the substitute is no better than blind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hwgen.errors import HwgenError


@dataclass(frozen=True, kw_only=True)
class Prefix:
    """Args:
        count: how many of the ranked items are encrypted.
        probes: every (count, accuracy) that was measured, in the order of measuring.
        holds: whether the accuracy at ``count`` is within the limit; False only if it is not even with everything.
    """

    count: int
    probes: tuple[tuple[int, float], ...]
    holds: bool


def smallest_prefix(accuracy: Callable[[int], float], items: int, limit: float, *, reach: int = 1) -> Prefix:
    """Binary search for the fewest items whose substitute accuracy is at most ``limit``.

    The accuracy falls only nearly monotonously, so the neighbours of the answer are measured too. A larger one within
    ``reach`` that does not hold is a sign that the answer was luck: the search goes on behind it. Smaller ones are
    taken as long as every one between holds.

    Args:
        accuracy: of a substitute when the ``count`` most important items are encrypted; expensive, asked once a count.
        items: how many there are.
        limit: A_BB + delta, 0..1.
        reach: how far neighbours are looked at.

    Raises:
        HwgenError: no items, or a negative reach.
    """
    if items < 1 or reach < 0:
        raise HwgenError(f"{items} items with reach {reach}", where="threshold", allowed="at least 1 item, reach >= 0")
    known: dict[int, float] = {}

    def holds(count: int) -> bool:
        if count not in known:
            known[count] = accuracy(count)
        return known[count] <= limit

    low, high = 0, items  # holds(high) is believed, holds(low) is not
    while high - low > 1:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle
    at, settled = high, False
    while not settled:
        settled = True
        if not holds(at) and at < items:
            at, settled = at + 1, False
            continue
        for other in range(min(items, at + reach), at, -1):
            if not holds(other) and other < items:
                at, settled = other + 1, False
                break
        if settled:
            for other in range(max(0, at - reach), at):
                if holds(other) and all(holds(c) for c in range(other, at)):
                    at, settled = other, False
                    break
    return Prefix(count=at, probes=tuple(known.items()), holds=holds(at))
