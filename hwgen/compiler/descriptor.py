"""A compute descriptor with strides instead of jumps, and its encoding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hwgen.compiler.transfer import Box
from hwgen.isa import layout as isa
from hwgen.isa.layout import ComputeFlag, Opcode

Six = tuple[int, int, int, int, int, int]
_ADDRESSES = 1 << isa.ACT_ADDR_BITS


@dataclass(frozen=True, kw_only=True)
class Descriptor:
    """One compute descriptor; names as in ``hwgen.isa.layout``, strides per loop l0..l5.

    Args:
        node: graph node, for reports.
        operation: index of the engine operation it belongs to.
        flags: ``ComputeFlag`` members.
        dst, res: (base, x, y, o stride, distance of the second word); res of a window descriptor: numbers of the
            outputs' last taps.
        lines: lines of the weight stream one output block takes.
        macs: logical multiply-accumulates (reports).
        again: its lines of the weight stream are those of an earlier descriptor, fetched once more.
        reads, writes: activation words, at least those that it reads (inside the map) and writes.
    """

    node: str
    operation: int
    opcode: Opcode
    flags: frozenset[ComputeFlag]
    counts: Six
    src_base: int
    src_strides: Six
    src_plane: int = 0
    iy_base: int
    iy_strides: Six
    ix_base: int
    ix_strides: Six
    height: int
    width: int
    dst: tuple[int, int, int, int, int]
    res: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)
    last_words: int
    lo: int
    hi: int
    weight_line: int = 0
    weight_seq: int = 0
    tile_line: int = 0
    steps: int = 0
    wait_act: int = 0
    wait_progress: int = 0
    wait_store: int = 0
    lines: int = 0
    macs: int = 0
    again: bool = False
    reads: tuple[Box, ...] = field(default=(), repr=False)
    writes: tuple[Box, ...] = field(default=(), repr=False)

    @property
    def pool(self) -> bool:
        """MAXPOOL or AVGPOOL."""
        return self.opcode in (Opcode.MAXPOOL, Opcode.AVGPOOL)

    @property
    def window(self) -> bool:
        """WINDOW_CONV or WINDOW_MAX: of the window unit, not of the array."""
        return self.opcode in (Opcode.WINDOW_CONV, Opcode.WINDOW_MAX)

    @property
    def x_loop(self) -> int:
        """Index of the loop over output columns."""
        return 2 if self.pool or self.window else 0

    @property
    def step_slots(self) -> int:
        """Issue slots of a step (convolution) or of an output block (pool)."""
        inner = self.counts[:4] if self.pool else self.counts[:2]
        slots = 1
        for count in inner:
            slots *= count
        return slots

    @property
    def blocks(self) -> int:
        """Output blocks."""
        return self.counts[5]

    @property
    def window_words(self) -> int:
        """Words that pass through the window unit: from the first one read to the last tap of the last output."""
        if not self.window:
            return 0
        _, _, columns, rows, _, blocks = self.counts
        first, x, y, o, _ = self.res
        return first + (columns - 1) * x + (rows - 1) * y + (blocks - 1) * o + 1

    @property
    def slots(self) -> int:
        """Issue slots of the descriptor in the array."""
        if self.window:
            return 0
        total = 1
        for count in self.counts:
            total *= count
        return total

    def encode(self) -> bytes:
        """Descriptor words; HwgenError when a field does not fit."""
        x = self.x_loop
        values: dict[str, int] = {
            "opcode": self.opcode, "flags": sum(1 << f for f in self.flags),
            "src_base": self.src_base % _ADDRESSES,
            "iy_base": self.iy_base, "ix_base": self.ix_base, "height": self.height, "width": self.width,
            "dst_base": self.dst[0], "dst_plane": self.dst[4], "res_base": self.res[0],
            "res_plane": self.src_plane if self.pool else self.res[4],
            "last_words": self.last_words, "lo": self.lo, "hi": self.hi,
            "weight_line": self.weight_line, "weight_seq": self.weight_seq, "tile_line": self.tile_line,
            "steps": self.steps, "wait_act": self.wait_act, "wait_progress": self.wait_progress,
            "wait_store": self.wait_store,
        }
        counts_in = counts_out = self.counts
        if self.window:  # words are counted by l0, l1, l5, outputs by l2, l3, l5
            columns, rows, columns_out, rows_out, _, blocks = self.counts
            counts_in, counts_out = (columns, rows, 1, 1, 1, blocks), (1, 1, columns_out, rows_out, 1, blocks)
        for name, strides, counts in (("src", self.src_strides, counts_in), ("iy", self.iy_strides, counts_out),
                                      ("ix", self.ix_strides, counts_out)):
            for loop, jump in zip(isa.LOOP_NAMES, jumps(strides, counts), strict=True):
                values[f"{name}_jump_{loop}"] = jump
        for loop, count in zip(isa.LOOP_NAMES, self.counts, strict=True):
            values[f"last_{loop}"] = count - 1
        shape = (self.counts[x], self.counts[x + 1], self.counts[5])
        for name, place in (("dst", self.dst), ("res", self.res)):
            for axis, jump in zip("xyo", jumps(place[1:4], shape), strict=True):
                values[f"{name}_jump_{axis}"] = jump
        return isa.encode(isa.COMPUTE_FIELDS, values)


def jumps(strides: Sequence[int], counts: Sequence[int]) -> list[int]:
    """What to add when loop k steps and all inner loops restart: stride[k] - sum over j < k of (count[j]-1)*stride[j].

    A loop of one pass never steps; its jump is 0.
    """
    out, travelled = [], 0
    for stride, count in zip(strides, counts, strict=True):
        out.append(stride - travelled if count > 1 else 0)
        travelled += (count - 1) * stride
    return out
