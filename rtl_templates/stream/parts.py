"""From pixels to parts of them, for stages that take a pixel's channels one block after the other."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hwgen.config.pipeline import StageConfig


class PartSource(wiring.Component):
    """A part per cycle, a cycle behind its pixel.

    Members:
        i: In(stream of pixels); o: Out(stream of parts): of every pixel its ``parts`` blocks of channels, in order.
    """

    def __init__(self, *, stage: StageConfig) -> None:
        self.stage = stage
        super().__init__({"i": In(stream.Signature(stage.channels * 8)),
                          "o": Out(stream.Signature(stage.part_channels * 8))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        parts, width = self.stage.parts, self.stage.part_channels * 8
        part, free = Signal(range(parts)), Signal()
        m.d.comb += [free.eq(~self.o.valid | self.o.ready), self.i.ready.eq(free & (part == parts - 1))]
        with m.If(free):
            m.d.sync += [self.o.valid.eq(self.i.valid), self.o.payload.eq(self.i.payload.word_select(part, width))]
            with m.If(self.i.valid):
                m.d.sync += part.eq(Mux(part == parts - 1, 0, part + 1))
        return m
