"""Offline allocation of intervals of memory to things with lifetimes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Request:
    """``words`` of memory from step ``first`` to step ``last``, both included.

    ``group`` and ``side``: requests of one group on different sides lie in different banks.
    """

    name: str
    words: int
    first: int
    last: int
    group: str = ""
    side: int = 0

    def overlaps(self, other: Request) -> bool:
        """Both are alive at some step."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class Home:
    """Bank and first word."""

    bank: int
    offset: int


@dataclass(frozen=True)
class Allocation:
    """Result: a home for every request, and the highest word used (+1) in each bank."""

    homes: dict[str, Home]
    used: tuple[int, ...]

    @property
    def peak(self) -> int:
        """Words of the fuller bank."""
        return max(self.used)


def allocate(requests: Sequence[Request], banks: int, capacity: int, tries: int = 200) -> Allocation:
    """The first allocation found that fits ``capacity``, else the one with the lowest peak.

    First fit in several orders: by size, by size times lifetime, by time, then seeded random perturbations of the best.
    """
    orders = [
        sorted(requests, key=lambda r: (-r.words, r.first, r.name)),
        sorted(requests, key=lambda r: (-r.words * (r.last - r.first + 1), r.name)),
        sorted(requests, key=lambda r: (r.first, -r.words, r.name)),
        sorted(requests, key=lambda r: (-(r.last - r.first), -r.words, r.name)),
    ]
    best: Allocation | None = None
    best_order = orders[0]
    for order in orders:
        found = _first_fit(order, banks)
        if best is None or found.peak < best.peak:
            best, best_order = found, order
    assert best is not None
    generator = random.Random(1)
    for _ in range(tries):
        if best.peak <= capacity or len(requests) < 2:
            break
        order = list(best_order)
        for _ in range(generator.randint(1, 3)):
            order.insert(generator.randrange(len(order)), order.pop(generator.randrange(len(order))))
        found = _first_fit(order, banks)
        if found.peak <= best.peak:
            best, best_order = found, order
    return best


def _first_fit(order: Sequence[Request], banks: int) -> Allocation:
    placed: list[list[tuple[int, int, Request]]] = [[] for _ in range(banks)]  # (offset, end, request)
    flips: dict[str, int] = {}
    homes: dict[str, Home] = {}
    used = [0] * banks
    for request in order:
        if request.group in flips:
            allowed = [(flips[request.group] ^ request.side) % banks]
        else:
            allowed = list(range(banks))
        choices = [(_lowest(request, placed[bank]), used[bank], bank) for bank in allowed]
        offset, _, bank = min(choices, key=lambda c: (max(c[0] + request.words, c[1]), c[0], c[2]))
        if request.group:
            flips.setdefault(request.group, bank ^ request.side)
        placed[bank].append((offset, offset + request.words, request))
        used[bank] = max(used[bank], offset + request.words)
        homes[request.name] = Home(bank, offset)
    return Allocation(homes, tuple(used))


def _lowest(request: Request, placed: list[tuple[int, int, Request]]) -> int:
    """Lowest offset at which ``request`` meets nobody alive at the same time."""
    offset = 0
    for start, end, other in sorted(placed, key=lambda p: p[0]):
        if request.overlaps(other):
            if offset + request.words <= start:
                break
            offset = max(offset, end)
    return offset
