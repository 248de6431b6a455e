"""Cuts a request into AXI4 bursts."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl_templates.shell.axi import BEAT_ADDR_BITS

#: beats in 4 KiB, which no burst may cross; also AXI4's longest INCR burst
PAGE_BEATS = 256


def request_layout(beats_bits: int) -> data.StructLayout:
    """Beat address and number of beats (at least 1)."""
    return data.StructLayout({"address": BEAT_ADDR_BITS, "beats": beats_bits})


def burst_layout() -> data.StructLayout:
    """Beat address, AxLEN (beats - 1), and whether it is the last burst of its request."""
    return data.StructLayout({"address": BEAT_ADDR_BITS, "length": 8, "final": 1})


class BurstSplitter(wiring.Component):
    """One burst every two cycles.

    Args:
        beats_bits: width of the number of beats of a request.

    Members:
        request: In(stream of request_layout); burst: Out(stream of burst_layout), never across 4 KiB.
        clear: In(1), drops the request in progress and the burst offered.
        idle: Out(1), no request in progress.
    """

    def __init__(self, *, beats_bits: int) -> None:
        self.beats_bits = beats_bits
        super().__init__({
            "request": In(stream.Signature(request_layout(beats_bits))),
            "burst": Out(stream.Signature(burst_layout())),
            "clear": In(1),
            "idle": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        page, offset = Signal(BEAT_ADDR_BITS - 8), Signal(8)
        left = Signal(self.beats_bits)
        active, sized = Signal(), Signal()
        length, final = Signal(9), Signal()
        room = Signal(9)
        m.d.comb += [
            room.eq(PAGE_BEATS - offset),
            self.request.ready.eq(~active),
            self.burst.valid.eq(sized),
            self.burst.p.address.eq(Cat(offset, page)),
            self.burst.p.length.eq(length - 1),
            self.burst.p.final.eq(final),
            self.idle.eq(~active),
        ]
        with m.If(~active):
            m.d.sync += [Cat(offset, page).eq(self.request.p.address), left.eq(self.request.p.beats), sized.eq(0)]
            with m.If(self.request.valid):
                m.d.sync += active.eq(1)
        with m.Elif(~sized):
            fits = Signal()
            m.d.comb += fits.eq(left <= room)
            m.d.sync += [length.eq(Mux(fits, left, room)), final.eq(fits), sized.eq(1)]
        with m.Elif(self.burst.ready):
            # only a burst that reaches the end of its page is followed by another
            m.d.sync += [left.eq(left - length), page.eq(page + 1), offset.eq(0), sized.eq(0)]
            with m.If(final):
                m.d.sync += active.eq(0)
        with m.If(self.clear):
            m.d.sync += [active.eq(0), sized.eq(0)]
        return m
