"""From columns to windows."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hwgen.config.pipeline import StageConfig
from rtl_templates.stream.columns import padding_pixel
from rtl_templates.stream.timing import row_cycles


class WindowSource(wiring.Component):
    """A column (or a column of padding) per cycle.

    Members:
        i: In(stream of columns).
        o: Out(stream of windows): ``kernel[1]`` columns, left first.
    """

    def __init__(self, *, stage: StageConfig) -> None:
        self.stage = stage
        self.column = stage.kernel[0] * stage.channels * 8
        super().__init__({"i": In(stream.Signature(self.column)),
                          "o": Out(stream.Signature(stage.kernel[1] * self.column))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        stage = self.stage
        kernel, stride, left = stage.kernel[1], stage.stride[1], stage.padding[2]
        cycles = row_cycles(stage)
        at = Signal(range(max(2, cycles)))
        wait, more = Signal(range(max(2, kernel, stride)), init=kernel - 1), Signal(
            range(stage.out_width + 1), init=stage.out_width)
        real, emit, free, step = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            real.eq((at >= left) & (at < left + stage.width)), emit.eq((wait == 0) & (more != 0)),
            free.eq(~self.o.valid | self.o.ready), step.eq(free & (self.i.valid | ~real)),
            self.i.ready.eq(free & real),
        ]
        outside = Const(int.from_bytes(padding_pixel(stage).to_bytes(stage.channels, "little") * stage.kernel[0],
                                       "little"), self.column)
        column = Mux(real, self.i.payload, outside)
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(step):
            m.d.sync += [
                self.o.payload.eq(Cat(self.o.payload[self.column:], column)), self.o.valid.eq(emit),
                at.eq(at + 1), wait.eq(Mux(wait == 0, stride - 1, wait - 1)), more.eq(more - emit),
            ]
            with m.If(at == cycles - 1):
                m.d.sync += [at.eq(0), wait.eq(kernel - 1), more.eq(stage.out_width)]
        return m
