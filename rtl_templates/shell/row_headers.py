"""Headers of the rows of a protected feature map, on its way to the scratch buffer."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl_templates.crypto.interfaces import ROW_FLAGS, SegmentHeader
from rtl_templates.shell.segment import SEGMENT_BEATS_BITS

#: of an offset in the scratch buffer, and of what the rows of a plane take there
OFFSET_BITS, STORED_BITS = 28, 23


def rows_layout() -> data.StructLayout:
    """The rows of a store: ``offset`` of the first plane, ``step`` to the next one, ``last_plane``: planes - 1;
    ``beats`` of a row without its tag, ``stored`` of all rows of a plane with tags."""
    return data.StructLayout({"offset": OFFSET_BITS, "step": OFFSET_BITS, "last_plane": 12,
                              "beats": SEGMENT_BEATS_BITS, "stored": STORED_BITS})


class RowHeaders(wiring.Component):
    """One header per cycle, and one cycle more per plane.

    Members:
        i: In(stream of rows_layout); o: Out(stream of SegmentHeader), one per row, in order of the store.
    """

    def __init__(self) -> None:
        super().__init__({"i": In(stream.Signature(rows_layout())), "o": Out(stream.Signature(SegmentHeader))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        rows = Signal(rows_layout())
        offset, left = Signal(OFFSET_BITS), Signal(STORED_BITS)  # of this row; of the plane, from it on
        stride = Signal(SEGMENT_BEATS_BITS + 1)
        m.d.comb += [self.o.p.index.eq(offset), self.o.p.length.eq(rows.beats), self.o.p.flags.eq(ROW_FLAGS)]
        with m.FSM():
            with m.State("WAIT"):
                m.d.comb += self.i.ready.eq(1)
                m.d.sync += [rows.eq(self.i.payload), stride.eq(self.i.p.beats + 1)]
                with m.If(self.i.valid):
                    m.next = "PLANE"
            with m.State("PLANE"):
                m.d.sync += [offset.eq(rows.offset), left.eq(rows.stored), rows.offset.eq(rows.offset + rows.step)]
                m.next = "ROW"
            with m.State("ROW"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(self.o.ready):
                    m.d.sync += [offset.eq(offset + stride), left.eq(left - stride)]
                    with m.If(left == stride):
                        m.d.sync += rows.last_plane.eq(rows.last_plane - 1)
                        m.next = "PLANE"
                        with m.If(rows.last_plane == 0):
                            m.next = "WAIT"
        return m
