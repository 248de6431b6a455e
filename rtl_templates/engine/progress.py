"""Counts retired compute descriptors in program order."""

from amaranth.hdl import Module, Signal
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from hwgen.isa.layout import COUNT_BITS

#: descriptors handed out and not counted, at most
OUTSTANDING = 32


class Progress(wiring.Component):
    """A descriptor that its unit has retired counts once all before it have.

    Args:
        units: units that run descriptors beside one another.

    Members:
        handed: In(stream), unit of a descriptor that is handed out; not ready while ``OUTSTANDING`` are on their way.
        retired: In(units), pulses, in the order of each unit's descriptors.
        progress: Out(16).
        idle: Out(1), everything that was handed out has been counted.
    """

    def __init__(self, *, units: int) -> None:
        self.units = units
        super().__init__({
            "handed": In(stream.Signature(range(units))),
            "retired": In(units),
            "progress": Out(COUNT_BITS),
            "idle": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if self.units == 1:
            m.d.comb += [self.handed.ready.eq(1), self.idle.eq(1)]
            with m.If(self.retired[0]):
                m.d.sync += self.progress.eq(self.progress + 1)
            return m
        m.submodules.order = order = fifo.SyncFIFOBuffered(width=len(self.handed.payload), depth=OUTSTANDING)
        m.d.comb += [
            order.w_data.eq(self.handed.payload), order.w_en.eq(self.handed.valid),
            self.handed.ready.eq(order.w_rdy), self.idle.eq(order.level == 0),
        ]
        counted = Signal()
        m.d.comb += order.r_en.eq(counted)
        for unit in range(self.units):
            waiting, some = Signal(range(OUTSTANDING + 1), name=f"waiting_{unit}"), Signal(name=f"some_{unit}")
            mine = order.r_rdy & some & (order.r_data == unit)
            with m.If(mine):
                m.d.comb += counted.eq(1)
            with m.If(self.retired[unit] & ~mine):
                m.d.sync += [waiting.eq(waiting + 1), some.eq(1)]
            with m.Elif(mine & ~self.retired[unit]):
                m.d.sync += [waiting.eq(waiting - 1), some.eq(waiting != 1)]
        with m.If(counted):
            m.d.sync += self.progress.eq(self.progress + 1)
        return m
