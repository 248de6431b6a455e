"""Two segment units behind one set of ports: one for segments of the image, one for rows of feature maps."""

from amaranth.hdl import Module, Mux, ResetInserter, Signal
from amaranth.lib import data, fifo, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from rtl_templates.crypto.gcm_stream import GcmStream
from rtl_templates.crypto.interfaces import ROW_FLAGS, KeyBus, segment_unit_members
from rtl_templates.crypto.segment_bypass import SegmentBypass

#: segments whose headers are with the units
HEADERS = 8


class SegmentSwitch(wiring.Component):
    """Ports and framing of a segment unit; a segment whose header has ``ROW_FLAGS`` goes through ``rows``, all others
    through ``image``.

    Both units get their headers ahead of the data, so that key stream is made for both. The data of a segment follow
    those before it at once if they are for the same unit; otherwise when that unit has given its last verdict and its
    last beat was taken, so that only one of them ever has data, and beats and verdicts come in order.

    Args:
        image, rows: the units, with keys of the same size.

    Members:
        header, data, out, status, keys, flush, idle: as of ``GcmStream``; ``keys`` are those of ``image``.
        row_keys: those of ``rows``.
        status_row: Out(1), with ``status``: it is that of a row.
    """

    def __init__(self, *, image: GcmStream | SegmentBypass, rows: GcmStream | SegmentBypass) -> None:
        self.image, self.rows = image, rows
        super().__init__({**segment_unit_members(image.key_bits), "row_keys": In(KeyBus(image.key_bits)),
                          "status_row": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.image = image = self.image
        m.submodules.rows = rows = self.rows
        connect(m, flipped(self.keys), image.keys)
        connect(m, flipped(self.row_keys), rows.keys)
        entry = data.StructLayout({"row": 1, "length": 16})
        order = fifo.SyncFIFOBuffered(width=entry.size, depth=HEADERS)
        m.submodules.order = ResetInserter(self.flush)(order)
        coming, arriving = Signal(entry), Signal(entry)
        taken = Signal()

        # ---- headers
        m.d.comb += [
            arriving.row.eq(self.header.p.flags == ROW_FLAGS), arriving.length.eq(self.header.p.length),
            image.header.payload.eq(self.header.payload), rows.header.payload.eq(self.header.payload),
            image.header.valid.eq(self.header.valid & order.w_rdy & ~arriving.row),
            rows.header.valid.eq(self.header.valid & order.w_rdy & arriving.row),
            self.header.ready.eq(order.w_rdy & Mux(arriving.row, rows.header.ready, image.header.ready)),
            order.w_data.eq(arriving), order.w_en.eq(self.header.valid & self.header.ready),
            coming.eq(order.r_data),
        ]

        # ---- data of one segment after the other
        row, feeding, left = Signal(), Signal(), Signal(16)  # left: beats behind the present one, the tag included
        unchecked = Signal(range(2 * HEADERS + 4))
        begin, ended, checked = Signal(), Signal(), Signal()
        m.d.comb += [
            ended.eq(taken & (left == 0)),
            begin.eq(order.r_rdy & (~feeding | ended)
                     & ((coming.row == row) | ~feeding & (unchecked == 0) & ~self.out.valid)),
            order.r_en.eq(begin),
            image.data.payload.eq(self.data.payload), rows.data.payload.eq(self.data.payload),
            image.data.valid.eq(self.data.valid & feeding & ~row),
            rows.data.valid.eq(self.data.valid & feeding & row),
            self.data.ready.eq(feeding & Mux(row, rows.data.ready, image.data.ready)),
            taken.eq(self.data.valid & self.data.ready),
        ]
        with m.If(taken):
            m.d.sync += left.eq(left - 1)
        with m.If(ended):
            m.d.sync += feeding.eq(0)
        with m.If(begin):
            m.d.sync += [feeding.eq(1), row.eq(coming.row), left.eq(coming.length)]

        # ---- what comes out is of the unit that has data
        m.d.comb += [
            self.out.payload.eq(Mux(row, rows.out.payload, image.out.payload)),
            self.out.valid.eq(Mux(row, rows.out.valid, image.out.valid)),
            image.out.ready.eq(self.out.ready & ~row), rows.out.ready.eq(self.out.ready & row),
            self.status.payload.eq(Mux(row, rows.status.payload, image.status.payload)),
            self.status.valid.eq(Mux(row, rows.status.valid, image.status.valid)),
            image.status.ready.eq(self.status.ready & ~row), rows.status.ready.eq(self.status.ready & row),
            self.status_row.eq(row),
            checked.eq(self.status.valid & self.status.ready),
            image.flush.eq(self.flush), rows.flush.eq(self.flush),
            self.idle.eq(image.idle & rows.idle),
        ]
        with m.If(begin & ~checked):
            m.d.sync += unchecked.eq(unchecked + 1)
        with m.Elif(checked & ~begin):
            m.d.sync += unchecked.eq(unchecked - 1)
        with m.If(self.flush):
            m.d.sync += [feeding.eq(0), unchecked.eq(0)]
        return m
