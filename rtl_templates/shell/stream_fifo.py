"""A small queue with stream ports."""

from amaranth.hdl import Cat, Module, ResetInserter, Signal
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out


class StreamFifo(wiring.Component):
    """First in, first out; two cycles from ``i`` to ``o`` when empty.

    Args:
        shape: payload.
        depth: entries; at least 3 for a transfer in every cycle.

    Members:
        i: In(stream), o: Out(stream).
        clear: In(1), drops everything.
        empty: Out(1), nothing is stored.
    """

    def __init__(self, *, shape: object, depth: int) -> None:
        self.shape, self.depth = shape, depth
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape)), "clear": In(1),
                          "empty": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        entry = Signal(self.shape)
        width = len(Cat(entry))
        queue = fifo.SyncFIFOBuffered(width=width, depth=self.depth)
        m.submodules.queue = ResetInserter(self.clear)(queue)
        m.d.comb += [
            entry.eq(self.i.payload),
            queue.w_data.eq(entry), queue.w_en.eq(self.i.valid), self.i.ready.eq(queue.w_rdy),
            self.o.payload.eq(queue.r_data), self.o.valid.eq(queue.r_rdy), queue.r_en.eq(self.o.ready),
            self.empty.eq(queue.level == 0),
        ]
        return m
