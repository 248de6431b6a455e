"""Pixel tiles: what one descriptor covers of a map, so that its partial sums fit into accumulator memory."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

#: coordinates are 12-bit signed
MAX_COORDINATE = 2046


@dataclass(frozen=True)
class Tile:
    """Output rows [y, y+rows) and columns [x, x+columns)."""

    y: int
    x: int
    rows: int
    columns: int

    def iterations(self, pair: bool) -> int:
        """Issue slots of one step."""
        return self.rows * (-(-self.columns // 2) if pair else self.columns)


@dataclass(frozen=True)
class Tiling:
    """All tiles of one map in writing order.

    Args:
        joined: the map is treated as one row (coordinates of the tiles count pixels).
        overhang: in the pair shape the second pixel of a row's last pair lies behind the row.
    """

    tiles: tuple[Tile, ...]
    joined: bool
    overhang: bool


def plan_tiles(height: int, width: int, joined: bool, pair: bool, depth: int) -> Tiling | None:
    """Cut a map into tiles of at most ``depth`` issue slots per step, of about equal size.

    Returns:
        None when the pair shape is not possible (a row with an odd number of columns must be cut).
    """
    if joined:
        height, width = 1, height * width
    per_slot = 2 if pair else 1
    slots = -(-width // per_slot)
    longest = min(depth, MAX_COORDINATE // per_slot)
    if slots > longest:
        if pair and height > 1 and width % 2:
            return None  # a piece's overhang would overwrite the next row's first pixel
        pieces = _even_cuts(slots, -(-slots // longest))
        tiles = tuple(
            Tile(y, per_slot * x, 1, min(per_slot * n, width - per_slot * x)) for y in range(height) for x, n in pieces)
    else:
        rows = max(1, depth // slots)
        tiles = tuple(Tile(y, 0, n, width) for y, n in _even_cuts(height, -(-height // rows)))
    return Tiling(tiles, joined, pair and width % 2 == 1)


def _even_cuts(total: int, pieces: int) -> list[tuple[int, int]]:
    """(start, length) of ``pieces`` nearly equal intervals of [0, total)."""
    bounds = [total * i // pieces for i in range(pieces + 1)]
    return [(a, b - a) for a, b in pairwise(bounds)]
