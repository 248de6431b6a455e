"""Registers both directions of a stream, so that neither ``valid`` nor ``ready`` runs through."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out


class StreamRegister(wiring.Component):
    """Two entries; one cycle of latency, one transfer per cycle.

    Members:
        i: In(stream), o: Out(stream).
        clear: In(1), drops both entries.
    """

    def __init__(self, *, shape: object) -> None:
        self.shape = shape
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape)), "clear": In(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        spare = Signal(self.shape)
        spare_full = Signal()
        m.d.comb += self.i.ready.eq(~spare_full)
        with m.If(~self.o.valid | self.o.ready):
            m.d.sync += [
                self.o.payload.eq(Mux(spare_full, spare, self.i.payload)),
                self.o.valid.eq(spare_full | self.i.valid),
                spare_full.eq(0),
            ]
        with m.Elif(self.i.valid & ~spare_full):
            m.d.sync += [spare.eq(self.i.payload), spare_full.eq(1)]
        with m.If(self.clear):
            m.d.sync += [self.o.valid.eq(0), spare_full.eq(0)]
        return m
