"""Results of whole frames, until the store unit has read them."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.config.pipeline import StageConfig
from hwgen.isa.layout import ACT_ADDR_BITS
from hwgen.stream.layout import result_planes
from rtl_templates.memory.ram import Ram


class OutputMemory(wiring.Component):
    """Two frames: one is written while the other one is read.

    Members:
        i: In(stream of pixels), int32 sums.
        read: In(stream of {addr}), not ready while no frame is complete; every word of a frame is read once, the last
            one last; data: Out {valid, data}, two cycles later.
        complete: Out(1), pulse: a frame is.
    """

    def __init__(self, *, config: AcceleratorConfig, stage: StageConfig) -> None:
        self.config, self.stage = config, stage
        super().__init__({
            "i": In(stream.Signature(stage.out_channels * 32)),
            "read": In(stream.Signature(data.StructLayout({"addr": ACT_ADDR_BITS}))),
            "data": Out(data.StructLayout({"valid": 1, "data": config.p_i * 8})),
            "complete": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bits, planes, pixels = self.config.p_i * 8, result_planes(self.stage, self.config), self.stage.outputs
        words = planes * pixels
        size = 1 << (words - 1).bit_length()
        m.submodules.memory = memory = Ram(width=bits, depth=2 * size)
        full = Signal(2)

        # ---- write: a word of the pixel per cycle
        pixel = Signal(range(max(2, pixels)))
        offset, bank = Signal(range(max(2, words))), Signal()
        held, left = Signal(planes * bits), Signal(range(planes + 1))
        last_plane, last_pixel = left == 1, pixel == pixels - 1
        written = Signal()
        m.d.comb += [
            self.i.ready.eq((left == 0) & ~full.bit_select(bank, 1)),
            memory.write_addr.eq(Cat(offset, bank) if size > 1 else bank),
            memory.write_data.eq(held[:bits]), memory.write_en.eq(left != 0),
            written.eq((left != 0) & last_plane & last_pixel), self.complete.eq(written),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [held.eq(self.i.payload), left.eq(planes), offset.eq(pixel)]
        with m.If(left != 0):
            m.d.sync += [held.eq(held[bits:]), left.eq(left - 1), offset.eq(offset + pixels)]
            with m.If(last_plane):
                m.d.sync += pixel.eq(Mux(last_pixel, 0, pixel + 1))
        with m.If(written):
            m.d.sync += [full.bit_select(bank, 1).eq(1), bank.eq(~bank)]

        # ---- read
        reading, word, taken = Signal(), Signal(range(max(2, words))), Signal()
        m.d.comb += [
            self.read.ready.eq(full.bit_select(reading, 1)), taken.eq(self.read.valid & self.read.ready),
            self.data.data.eq(memory.read_data),
        ]
        address = Signal(len(memory.read_addr))
        fetched = Signal()
        m.d.sync += [address.eq(Cat(self.read.p.addr[:(size - 1).bit_length()], reading)), fetched.eq(taken),
                     self.data.valid.eq(fetched)]
        m.d.comb += memory.read_addr.eq(address)
        with m.If(taken):
            m.d.sync += word.eq(word + 1)
            with m.If(word == words - 1):
                m.d.sync += [word.eq(0), full.bit_select(reading, 1).eq(0), reading.eq(~reading)]
        return m
