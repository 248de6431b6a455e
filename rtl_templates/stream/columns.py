"""From pixels to columns of a window: the rows that a stage still needs."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hwgen.config.pipeline import StageConfig, StageKind
from rtl_templates.memory.ram import Ram


def padding_pixel(stage: StageConfig) -> int:
    """A pixel (serial: a part) outside the map: zeros, for a maximum -128 in every channel."""
    return int("80" * stage.part_channels, 16) if stage.kind is StageKind.MAXIMUM else 0


class ColumnSource(wiring.Component):
    """A pixel (serial: a part of one) per cycle. Behind a frame's last row come as many rows without pixels as windows
    have padding there.

    Members:
        i: In(stream of pixels, or parts), row by row.
        o: Out(stream of columns, or parts): of every output row the pixels of its ``kernel[0]`` rows, top first.
    """

    def __init__(self, *, stage: StageConfig) -> None:
        self.stage = stage
        self.pixel = stage.part_channels * 8
        super().__init__({"i": In(stream.Signature(self.pixel)),
                          "o": Out(stream.Signature(stage.kernel[0] * self.pixel))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        stage, pixel = self.stage, self.pixel
        kernel, stride, top = stage.kernel[0], stage.stride[0], stage.padding[0]
        last_end = (stage.out_height - 1) * stride - top + kernel - 1
        rows = max(stage.height, last_end + 1)
        width = stage.width * stage.parts
        x, row = Signal(range(max(2, width))), Signal(range(max(2, rows)))
        wait, left = Signal(range(max(2, kernel, stride)), init=kernel - 1 - top), Signal(
            range(stage.out_height + 1), init=stage.out_height)
        virtual, emitting, have, advance = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            virtual.eq(row >= stage.height), emitting.eq((wait == 0) & (left != 0)),
            have.eq(self.i.valid | virtual), advance.eq(have & (self.o.ready | ~emitting)),
            self.o.valid.eq(have & emitting), self.i.ready.eq(~virtual & (self.o.ready | ~emitting)),
        ]
        row_end = x == width - 1
        with m.If(advance):
            m.d.sync += x.eq(Mux(row_end, 0, x + 1))
            with m.If(row_end):
                m.d.sync += [row.eq(row + 1), wait.eq(Mux(wait == 0, stride - 1, wait - 1))]
                with m.If(emitting):
                    m.d.sync += left.eq(left - 1)
                with m.If(row == rows - 1):
                    m.d.sync += [row.eq(0), wait.eq(kernel - 1 - top), left.eq(stage.out_height)]

        new, outside = Signal(pixel), Const(padding_pixel(stage), pixel)
        m.d.comb += new.eq(Mux(virtual, outside, self.i.payload))
        if kernel == 1:
            m.d.comb += self.o.payload.eq(new)
            return m
        # rows before this one in this column, top first; of the frame before, they count as padding
        old = Signal((kernel - 1) * pixel)
        shifted = Cat(old[pixel:], new)
        if width == 1:
            with m.If(advance):
                m.d.sync += old.eq(shifted)
        else:
            m.submodules.rows = memory = Ram(width=len(old), depth=width)
            m.d.comb += [
                memory.read_addr.eq(Mux(advance, Mux(row_end, 0, x + 1), x)), old.eq(memory.read_data),
                memory.write_addr.eq(x), memory.write_en.eq(advance), memory.write_data.eq(shifted),
            ]
        above = [Mux(row >= kernel - 1 - ky, old.word_select(ky, pixel), outside) for ky in range(kernel - 1)]
        m.d.comb += self.o.payload.eq(Cat(*above, new))
        return m
