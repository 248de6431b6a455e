"""The segment unit without crypto: same ports and framing as ``GcmStream``, to measure what the crypto costs."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring

from rtl_templates.crypto.interfaces import SegmentHeader, segment_unit_members
from rtl_templates.crypto.timing import rounds_of


class SegmentBypass(wiring.Component):
    """Passes data beats through, drops the tag beat, reports every segment as ok.

    Combinational from ``data`` to ``out``; no cycle is lost between segments, and ``status`` comes one cycle after the
    tag beat. ``keys`` is ignored, so an image needs no key; encrypted payloads come out encrypted.

    Args:
        key_bits: 128 or 256; only the width of the ignored ``keys``.
        encrypt: in the place of a ``GcmStream`` that encrypts: no tag beat comes, one of zeros leaves.

    Members:
        header: one per segment, in order, ahead of its data (the next one may wait while a segment flows).
        data: ``length`` data beats, then one tag beat.
        out: the data beats; ``last`` on the last of a segment.
        status: one per segment, in order.
        keys: ignored.
        flush: drops the segment in progress and all waiting headers and status.
        idle: no segment is in progress or waiting.

    Raises:
        ValueError: for another key size.
    """

    def __init__(self, *, key_bits: int = 128, encrypt: bool = False) -> None:
        rounds_of(key_bits)
        self.key_bits, self.encrypt = key_bits, encrypt
        super().__init__(segment_unit_members(key_bits))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        current = Signal(SegmentHeader)
        following = Signal(SegmentHeader)
        active = Signal()
        waiting = Signal()
        left = Signal(16)
        done = Signal()
        tag_beat = Signal()
        load = Signal(SegmentHeader)
        take = Signal()

        m.d.comb += [
            tag_beat.eq(left == 0),
            self.header.ready.eq(~waiting),
            self.out.p.data.eq(self.data.p.data),
            self.out.p.last.eq(left == 1),
            self.out.valid.eq(active & ~tag_beat & self.data.valid),
            # a segment ends only when its status has room
            self.data.ready.eq(active & (tag_beat & (~self.status.valid | self.status.ready)
                                         | ~tag_beat & self.out.ready)),
            done.eq(self.data.valid & self.data.ready & tag_beat),
            self.idle.eq(~active & ~waiting & ~self.status.valid),
            take.eq(~active | done),
            load.eq(self.header.payload),
        ]
        if self.encrypt:
            room = ~self.status.valid | self.status.ready
            m.d.comb += [
                self.out.p.data.eq(self.data.p.data & ~tag_beat.replicate(128)),
                self.out.p.last.eq(tag_beat),
                self.out.valid.eq(active & (tag_beat & room | ~tag_beat & self.data.valid)),
                self.data.ready.eq(active & ~tag_beat & self.out.ready),
                done.eq(active & tag_beat & room & self.out.ready),
            ]
        with m.If(waiting):
            m.d.comb += load.eq(following)

        with m.If(self.data.valid & self.data.ready & ~tag_beat):
            m.d.sync += left.eq(left - 1)
        with m.If(self.status.ready):
            m.d.sync += self.status.valid.eq(0)
        with m.If(done):
            m.d.sync += [
                active.eq(0),
                self.status.valid.eq(1),
                self.status.p.ok.eq(1),
                self.status.p.index.eq(current.index),
            ]
        with m.If(take & (waiting | self.header.valid)):
            m.d.sync += [current.eq(load), left.eq(load.length), active.eq(1), waiting.eq(0)]
        with m.Elif(self.header.valid & ~waiting):
            m.d.sync += [following.eq(self.header.payload), waiting.eq(1)]
        with m.If(self.flush):
            m.d.sync += [active.eq(0), waiting.eq(0), self.status.valid.eq(0)]
        return m
