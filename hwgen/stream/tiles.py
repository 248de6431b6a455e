"""Maps whose pixels come several at a time: how a window falls on tiles of pixels.

A stage takes one transfer per cycle, so a map of one pixel per transfer bounds the frame rate whatever the number of
multipliers. In a tiled map a transfer is a tile of neighbouring pixels, their channels side by side: pixel (y, x) of
the tile is *phase* ``y * tile[1] + x``, its channels stand at ``phase * channels``. A window over such a map is a
window of tiles. Where strides let a tile of results shrink, tiles end by themselves (a pool of 2 x 2 makes one pixel
of a tile of 2 x 2). The method is the polyphase form of a convolution.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hwgen.ir.nodes import Padding, Pair

#: of a window along one axis: (tile of the window, pixel of the tile)
Place = tuple[int, int]


@dataclass(frozen=True)
class TiledAxis:
    """A window along one axis of a tiled map.

    Args:
        tile: pixels of a tile; kernel, stride, padding: of the window, in pixels; padding in front of the map.
    """

    tile: int
    kernel: int
    stride: int
    padding: int

    @property
    def out_tile(self) -> int:
        """Results of one window of tiles."""
        return self.tile // math.gcd(self.tile, self.stride)

    @property
    def step(self) -> int:
        """Tiles from window to window."""
        return self.stride // math.gcd(self.tile, self.stride)

    @property
    def front(self) -> int:
        """Tiles of padding in front of the map."""
        return -(-self.padding // self.tile)

    @property
    def size(self) -> int:
        """Tiles of a window."""
        return self.place(self.out_tile - 1, self.kernel - 1)[0] + 1

    def place(self, result: int, tap: int) -> Place:
        """Where tap ``tap`` of result ``result`` of a window is."""
        return divmod(self.stride * result - self.padding + tap + self.front * self.tile, self.tile)


@dataclass(frozen=True)
class TiledWindow:
    """A window over a map of tiles (``rows`` x ``columns``)."""

    rows: TiledAxis
    columns: TiledAxis

    @classmethod
    def of(cls, tile: Pair, kernel: Pair, stride: Pair, padding: Padding) -> TiledWindow:
        """From a node's window, in pixels."""
        return cls(TiledAxis(tile[0], kernel[0], stride[0], padding[0]),
                   TiledAxis(tile[1], kernel[1], stride[1], padding[2]))

    @property
    def out_tile(self) -> Pair:
        """Results of one window."""
        return self.rows.out_tile, self.columns.out_tile

    def places(self) -> tuple[tuple[int, ...], ...]:
        """For every result of a window (row by row) the place of each of its taps, column by column.

        A place is ``tile of the window * pixels of a tile + pixel of the tile``, tiles column by column.
        """
        rows, columns = self.rows, self.columns
        found = []
        for result_row in range(rows.out_tile):
            for result_column in range(columns.out_tile):
                taps = list[int]()
                for kx in range(columns.kernel):
                    column, x = columns.place(result_column, kx)
                    for ky in range(rows.kernel):
                        row, y = rows.place(result_row, ky)
                        taps.append(((column * rows.size + row) * rows.tile + y) * columns.tile + x)
                found.append(tuple(taps))
        return tuple(found)

    def used(self) -> tuple[int, ...]:
        """Places that any result reads, in their order."""
        return tuple(sorted({place for taps in self.places() for place in taps}))

    def dense_values(self, weight: np.ndarray) -> np.ndarray:
        """int8 [O, I, Kh, Kw] -> [results * O, used places * I]: zero where a result does not read a place."""
        out, inner = weight.shape[:2]
        number = {place: n for n, place in enumerate(self.used())}
        taps = weight.transpose(3, 2, 0, 1).reshape(-1, out, inner)
        values = np.zeros((len(self.places()), out, len(number), inner), np.int8)
        for result, places in enumerate(self.places()):
            for tap, place in enumerate(places):
                values[result, :, number[place]] = taps[tap]
        return values.reshape(-1, len(number) * inner)

    def channel_values(self, weight: np.ndarray) -> np.ndarray:
        """int8 [C, 1, Kh, Kw] of a depthwise convolution -> [results * C, taps]."""
        return np.tile(weight[:, 0].transpose(0, 2, 1).reshape(len(weight), -1), (len(self.places()), 1))
