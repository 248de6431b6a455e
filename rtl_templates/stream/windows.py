"""From columns to windows."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hwgen.config.pipeline import StageConfig
from rtl_templates.memory.ram import Ram
from rtl_templates.stream.columns import padding_pixel
from rtl_templates.stream.timing import row_columns


class WindowSource(wiring.Component):
    """A column (or a column of padding; serial: a part of one) per cycle.

    Members:
        i: In(stream of columns, or parts).
        o: Out(stream of windows, or parts): ``kernel[1]`` columns, left first.
    """

    def __init__(self, *, stage: StageConfig) -> None:
        self.stage = stage
        self.column = stage.kernel[0] * stage.part_channels * 8
        super().__init__({"i": In(stream.Signature(self.column)),
                          "o": Out(stream.Signature(stage.kernel[1] * self.column))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        stage = self.stage
        kernel, stride, left = stage.kernel[1], stage.stride[1], stage.padding[2]
        columns = row_columns(stage)
        at = Signal(range(max(2, columns)))
        wait, more = Signal(range(max(2, kernel, stride)), init=kernel - 1), Signal(
            range(stage.out_width + 1), init=stage.out_width)
        real, emit, free, step = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            real.eq((at >= left) & (at < left + stage.width)), emit.eq((wait == 0) & (more != 0)),
            free.eq(~self.o.valid | self.o.ready), step.eq(free & (self.i.valid | ~real)),
            self.i.ready.eq(free & real),
        ]
        outside = Const(int.from_bytes(padding_pixel(stage).to_bytes(stage.part_channels, "little") * stage.kernel[0],
                                       "little"), self.column)
        column = Mux(real, self.i.payload, outside)
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        part = Signal(range(max(2, stage.parts)))
        final = part == stage.parts - 1
        before = self._before(m, part, final, step, column)
        with m.If(step):
            m.d.sync += [self.o.payload.eq(Cat(before, column)), self.o.valid.eq(emit),
                         part.eq(Mux(final, 0, part + 1))]
            with m.If(final):
                m.d.sync += [at.eq(at + 1), wait.eq(Mux(wait == 0, stride - 1, wait - 1)), more.eq(more - emit)]
                with m.If(at == columns - 1):
                    m.d.sync += [at.eq(0), wait.eq(kernel - 1), more.eq(stage.out_width)]
        return m

    def _before(self, m: Module, part: Signal, final: Value, step: Signal, column: Value) -> Value:
        """The ``kernel[1]`` - 1 columns before this one, of this part of the channels."""
        stage, kernel = self.stage, self.stage.kernel[1]
        if stage.parts == 1:
            return self.o.payload[self.column:]
        old = Signal((kernel - 1) * self.column)
        if kernel > 1:
            m.submodules.before = memory = Ram(width=len(old), depth=stage.parts)
            m.d.comb += [
                memory.read_addr.eq(Mux(step, Mux(final, 0, part + 1), part)), old.eq(memory.read_data),
                memory.write_addr.eq(part), memory.write_en.eq(step),
                memory.write_data.eq(Cat(old[self.column:], column)),
            ]
        return old
