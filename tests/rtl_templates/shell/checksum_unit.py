"""A segment unit for tests: the tag is the exclusive or of the data beats and the header's words; slow in every way."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring

from rtl_templates.crypto.interfaces import PlainBeat, SegmentHeader, SegmentStatus, segment_unit_members
from rtl_templates.shell.stream_fifo import StreamFifo

#: cycles from a tag to its status
STATUS_DELAY = 12


def tag_of(header: dict[str, int], beats: list[int]) -> int:
    """The tag of a segment."""
    tag = header["index"] | header["dest"] << 32 | header["length"] << 64 | header["flags"] << 80
    for beat in beats:
        tag ^= beat
    return tag


class ChecksumUnit(wiring.Component):
    """Ports of ``GcmStream``; plain data through a queue, the status ``STATUS_DELAY`` cycles after the tag."""

    def __init__(self, *, key_bits: int = 128) -> None:
        self.key_bits = key_bits
        super().__init__(segment_unit_members(key_bits))

    def elaborate(self, platform):
        m = Module()
        m.submodules.headers = headers = StreamFifo(shape=SegmentHeader, depth=4)
        m.submodules.plain = plain = StreamFifo(shape=PlainBeat, depth=6)
        m.d.comb += [headers.clear.eq(self.flush), plain.clear.eq(self.flush),
                     headers.i.payload.eq(self.header.payload), headers.i.valid.eq(self.header.valid & self.keys.valid),
                     self.header.ready.eq(headers.i.ready & self.keys.valid)]
        wiring.connect(m, plain.o, wiring.flipped(self.out))
        count, tag, timer = Signal(16), Signal(128), Signal(range(STATUS_DELAY + 1))
        pending = Signal(SegmentStatus)
        at_tag = Signal()
        header = headers.o.p
        packed = Signal(128)
        m.d.comb += [
            packed.eq(Cat(header.index, header.dest, header.length, header.flags)),
            at_tag.eq(count == header.length),
            plain.i.p.data.eq(self.data.p.data), plain.i.p.last.eq(count == header.length - 1),
            plain.i.valid.eq(self.data.valid & headers.o.valid & ~at_tag),
            self.data.ready.eq(headers.o.valid & Mux(at_tag, timer == 0, plain.i.ready)),
            headers.o.ready.eq(self.data.valid & self.data.ready & at_tag),
            self.idle.eq(~headers.o.valid & headers.empty & plain.empty & (timer == 0)),
            self.status.valid.eq(timer == 1), self.status.payload.eq(pending),
        ]
        with m.If(timer > 1):
            m.d.sync += timer.eq(timer - 1)
        with m.Elif(self.status.ready):
            m.d.sync += timer.eq(0)
        with m.If(self.data.valid & self.data.ready):
            m.d.sync += [count.eq(Mux(at_tag, 0, count + 1)), tag.eq(Mux(at_tag, 0, tag ^ self.data.p.data))]
            with m.If(at_tag):
                m.d.sync += [timer.eq(STATUS_DELAY), pending.index.eq(header.index),
                             pending.ok.eq((tag ^ packed) == self.data.p.data)]
        with m.If(self.flush):
            m.d.sync += [count.eq(0), tag.eq(0), timer.eq(0)]
        return m
