"""One stream for several readers."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out


class Fork(wiring.Component):
    """Every reader gets every payload, each when it is ready.

    Members:
        i: In(stream); o: Out(stream) × readers.
    """

    def __init__(self, *, shape: object, readers: int) -> None:
        self.readers = readers
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape)).array(readers)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        done = Signal(self.readers)
        ready = Cat(*(out.ready for out in self.o))
        m.d.comb += self.i.ready.eq((done | ready).all())
        for number, out in enumerate(self.o):
            m.d.comb += [out.payload.eq(self.i.payload), out.valid.eq(self.i.valid & ~done[number])]
        with m.If(self.i.valid):
            m.d.sync += done.eq(Mux(self.i.ready, 0, done | ready))
        return m
