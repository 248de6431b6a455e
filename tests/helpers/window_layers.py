"""Layers of the window unit: descriptors, weight stream and results by plain loops, independent of the compiler."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.isa.layout import ACT_ADDR_BITS, Opcode
from tests.helpers.bare_engine import records, reference_requantise

IDENTITY = (0, 2, 0, 1)


@dataclass(frozen=True, kw_only=True)
class WindowLayer:
    """A layer, or a strip of one.

    ``x`` is int8 [C, H, W], the whole map; ``weight`` int8 [C, kh, kw]; padding at the top, left, bottom, right;
    ``rows`` are the output rows to make (all without). ``parameters`` are bias, M, R, S per channel.
    """

    x: np.ndarray
    weight: np.ndarray
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    parameters: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
    maximum: bool = False
    bounds: tuple[int, int] = (-128, 127)
    rows: tuple[int, int] | None = None

    @property
    def out_shape(self) -> tuple[int, int]:
        """Rows and columns of the whole result."""
        (_, height, width), (_, kh, kw) = self.x.shape, self.weight.shape
        top, left, bottom, right = self.padding
        return (height + top + bottom - kh) // self.stride[0] + 1, (width + left + right - kw) // self.stride[1] + 1

    @property
    def out_rows(self) -> range:
        """Output rows of this strip."""
        return range(*(self.rows or (0, self.out_shape[0])))

    @property
    def in_rows(self) -> range:
        """Input rows that this strip reads."""
        first = self.out_rows[0] * self.stride[0] - self.padding[0]
        last = self.out_rows[-1] * self.stride[0] - self.padding[0] + self.weight.shape[1]
        return range(max(0, first), min(self.x.shape[1], last))

    @property
    def result_shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns of the strip's result."""
        return self.x.shape[0], len(self.out_rows), self.out_shape[1]

    def result(self) -> np.ndarray:
        """int8 [C, rows, columns] by the definition."""
        (_, height, width), (_, kh, kw) = self.x.shape, self.weight.shape
        acc = np.zeros(self.result_shape, np.int64)
        for c, y, x in np.ndindex(*self.result_shape):
            taps = []
            for ky, kx in np.ndindex(kh, kw):
                row = (self.out_rows[0] + y) * self.stride[0] - self.padding[0] + ky
                column = x * self.stride[1] - self.padding[1] + kx
                inside = 0 <= row < height and 0 <= column < width
                value = int(self.x[c, row, column]) if inside else -128 if self.maximum else 0
                if not self.maximum:
                    taps.append(value * int(self.weight[c, ky, kx]))
                elif self.weight[c, ky, kx]:
                    taps.append(value)
            acc[c, y, x] = max(taps) if self.maximum else sum(taps) + int(self.parameters[0][c])
        if self.maximum:
            return np.clip(acc, *self.bounds).astype(np.int8)
        return reference_requantise(acc, self.parameters, None, self.bounds)

    def lines(self, config: AcceleratorConfig) -> list[bytes]:
        """Weight-memory lines of all blocks."""
        channels, kh, kw = self.weight.shape
        parameters = tuple(np.full(channels, v) for v in IDENTITY) if self.maximum else self.parameters
        out = []
        for first in range(0, channels, config.p_i):
            out += records(config, parameters, first, config.p_i)
            taps = np.zeros((-(-config.window_taps // config.line_columns) * config.line_columns, config.p_i), np.int8)
            for ky, kx in np.ndindex(kh, kw):
                part = self.weight[first:first + config.p_i, ky, kx]
                taps[ky * config.window_kernel + kx, :len(part)] = part
            out += [line.tobytes() for line in taps.reshape(-1, config.line_columns * config.p_i)]
        return out

    def last_position(self, config: AcceleratorConfig) -> int:
        """Number of the last output's last tap."""
        fields = self.fields(config, src=0, src_plane=0, dst=0, dst_plane=0)
        blocks, (_, oh, ow) = fields["last_l5"] + 1, self.result_shape
        return fields["res_base"] + blocks * oh * (ow - 1) * fields["res_jump_x"] + blocks * (oh - 1) * fields[
            "res_jump_y"] + (blocks - 1) * fields["res_jump_o"]

    def fields(self, config: AcceleratorConfig, *, src: int, src_plane: int, dst: int, dst_plane: int,
               ) -> dict[str, int]:
        """Descriptor fields.

        Args:
            src: address of column 0 of the first row read.
            src_plane, dst_plane: distance of channel blocks.
            dst: address of the first result.
        """
        (channels, height, width), kernel = self.x.shape, config.window_kernel
        blocks, (_, oh, ow) = -(-channels // config.p_i), self.result_shape
        sy, sx = self.stride
        rows = len(self.in_rows)
        iy, ix = self.out_rows[0] * sy - self.padding[0], -self.padding[1]

        def jumps(x: int, y: int, o: int) -> tuple[int, int, int]:
            return x, y - x * (ow - 1), o - y * (oh - 1) - x * (ow - 1)

        values = {
            "opcode": Opcode.WINDOW_MAX if self.maximum else Opcode.WINDOW_CONV,
            "last_l0": width - 1, "last_l1": rows - 1, "last_l2": ow - 1, "last_l3": oh - 1, "last_l5": blocks - 1,
            "src_base": src & (1 << ACT_ADDR_BITS) - 1, "src_jump_l0": int(width > 1), "src_jump_l1": int(rows > 1),
            "src_jump_l5": src_plane - rows * width + 1,
            "iy_base": iy, "ix_base": ix, "height": height, "width": width, "dst_base": dst,
            "res_base": (iy - self.in_rows[0] + kernel - 1) * width + ix + kernel - 1,
            "lo": self.bounds[0], "hi": self.bounds[1],
        }
        for prefix, names, steps in (
                ("dst", "xyo", (1, ow, dst_plane)), ("res", "xyo", (sx, sy * width, rows * width)),
                ("iy", ("l2", "l3", "l5"), (0, sy, 0)), ("ix", ("l2", "l3", "l5"), (sx, 0, 0))):
            values |= {f"{prefix}_jump_{n}": jump for n, jump in zip(names, jumps(*steps), strict=True)}
        return values


def random_layer(rng: np.random.Generator, config: AcceleratorConfig, *, maximum: bool, kernel: tuple[int, int],
                 stride: tuple[int, int], x: np.ndarray, strip: bool = False) -> WindowLayer:
    """A layer over ``x`` with random numbers and paddings; with ``strip`` some rows of it.

    Only channels of the first block where blocks are too short for a descriptor of several.
    """
    (channels, height, width), (kh, kw) = x.shape, kernel
    kh = min(kh, 2 * height - 1)  # padding alone makes no output
    top, left = int(rng.integers(0, kh)), int(rng.integers(0, kw))
    bottom, right = int(rng.integers(max(0, kh - height - top), kh - top)), int(rng.integers(0, kw - left))
    weight = np.ones((channels, kh, kw)) if maximum else rng.integers(-127, 128, (channels, kh, kw))
    layer = WindowLayer(
        x=x, weight=weight.astype(np.int8), stride=stride, padding=(top, left, bottom, right), maximum=maximum,
        bounds=((-128, 127), (0, 127), (-20, 90))[int(rng.integers(3))],
        parameters=(rng.integers(-20000, 20000, channels), rng.integers(1 << 15, 1 << 16, channels),
                    np.zeros(channels, int), rng.integers(20, 26, channels)))
    if strip:
        rows = layer.out_shape[0]
        first = int(rng.integers(0, rows))
        layer = dataclasses.replace(layer, rows=(first, int(rng.integers(first + 1, rows + 1))))
    if len(layer.in_rows) * width < config.window_block_words:
        part = slice(0, config.p_i)
        layer = dataclasses.replace(layer, x=layer.x[part], weight=layer.weight[part],
                                    parameters=tuple(p[part] for p in layer.parameters))
    return layer
