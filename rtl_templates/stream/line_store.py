"""A stage's own memory, filled by lines of the weight stream."""

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hwgen.config.accelerator import AcceleratorConfig, RamStyle
from hwgen.isa.layout import LINE_BITS
from hwgen.stream.layout import LUT_DEPTH
from rtl_templates.engine.delay import delay
from rtl_templates.memory.ram import Ram


def write_layout(config: AcceleratorConfig) -> data.StructLayout:
    """A line on its way to the stages."""
    return data.StructLayout({"valid": 1, "line": LINE_BITS, "data": config.line_bytes * 8})


@dataclass(frozen=True)
class Piece:
    """Part of a word: bits of line ``chunk`` (offset, width), read ``position`` cycles behind those of position 0."""

    chunk: int
    fields: tuple[tuple[int, int], ...]
    position: int = 0

    @property
    def width(self) -> int:
        """Bits."""
        return sum(width for _, width in self.fields)


class LineStore(wiring.Component):
    """``words`` words, cut into ``chunks`` lines each; the lines come in order: chunk 0 of all words, then chunk 1 ...

    Args:
        base: number of the first line.
        borrow: of each two bytes of a line, the second one is stored less the sign of the first (packed products).

    Members:
        write: In(write_layout), lines of all stages.
        address: In, a word; data: Out, its pieces in order, those of position 0 a cycle later, the others ``position``
            cycles after them.
    """

    def __init__(self, *, config: AcceleratorConfig, base: int, words: int, chunks: int, pieces: Sequence[Piece],
                 borrow: bool = False) -> None:
        self.config, self.base, self.words, self.chunks = config, base, words, chunks
        self.pieces, self.borrow = tuple(pieces), borrow
        super().__init__({
            "write": In(write_layout(config)),
            "address": In(range(max(2, words))), "data": Out(sum(piece.width for piece in self.pieces)),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, write = self.config, self.write
        word, chunk = Signal(range(max(2, self.words))), Signal(self.chunks)
        enable, line = Signal(), Signal(config.line_bytes * 8)
        inside, first, coming, taken = Signal(), Signal(), Signal(config.line_bytes * 8), Signal()
        end = self.base + self.words * self.chunks
        m.d.sync += [
            inside.eq(write.valid & (write.line >= self.base) & (write.line < end)),
            first.eq(write.line == self.base), coming.eq(write.data),
            enable.eq(taken), line.eq(coming),
        ]
        m.d.comb += taken.eq(inside)
        if self.borrow:
            for pair in range(config.line_bytes // 2):
                even, odd = coming.word_select(2 * pair, 8), coming.word_select(2 * pair + 1, 8)
                m.d.sync += line.word_select(2 * pair + 1, 8).eq(odd - even[7])
        with m.If(taken):
            final = word == self.words - 1
            m.d.sync += [word.eq(Mux(final, 0, word + 1)), chunk.eq(Mux(final, chunk << 1, chunk))]
            with m.If(first):
                m.d.sync += [word.eq(0), chunk.eq(1)]

        addresses = {0: self.address}
        for position in range(1, 1 + max((piece.position for piece in self.pieces), default=0)):
            addresses[position] = delay(m, addresses[position - 1], 1, f"address_{position}")
        style = RamStyle.BLOCK if self.words > LUT_DEPTH else RamStyle.AUTO
        out = []
        for number, piece in enumerate(self.pieces):
            ram = Ram(width=piece.width, depth=self.words, style=style)
            m.submodules[f"piece_{number}"] = ram
            m.d.comb += [
                ram.write_addr.eq(word), ram.write_en.eq(enable & chunk[piece.chunk]),
                ram.write_data.eq(Cat(*(line[offset:offset + width] for offset, width in piece.fields))),
                ram.read_addr.eq(addresses[piece.position]),
            ]
            out.append(ram.read_data)
        m.d.comb += self.data.eq(Cat(*out))
        return m
