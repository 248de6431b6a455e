"""Writes runs of beats over AXI4."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl_templates.shell.axi import DATA_BITS, write_signature
from rtl_templates.shell.burst_splitter import BurstSplitter, request_layout
from rtl_templates.shell.stream_fifo import StreamFifo

#: a request is at most 2^20 activation words of 64 bytes
REQUEST_BEATS_BITS = 23


class AxiWriteMaster(wiring.Component):
    """One request at a time is cut into bursts, whose data follow in order, one beat per cycle.

    Args:
        outstanding: bursts without a response yet.

    Members:
        request: In(stream of {address, beats}), in 16-byte beats; ends: In(1), with it: the last one of a store.
        data: In(stream of 128).
        axi: Out(AXI4 write master).
        abort: In(1), while high: no new burst; open ones are completed with all strobes off; the request is dropped.
        idle: Out(1), no request in progress and every burst answered.
        completed: Out(1), pulse: all bursts of a store are answered.
        error: Out(1), pulse: a burst answered SLVERR or DECERR.
        beat: Out(1), pulse per beat transferred with its strobes on.
    """

    def __init__(self, *, outstanding: int = 4) -> None:
        self.outstanding = outstanding
        super().__init__({
            "request": In(stream.Signature(request_layout(REQUEST_BEATS_BITS))), "ends": In(1),
            "data": In(stream.Signature(DATA_BITS)),
            "axi": Out(write_signature()),
            "abort": In(1),
            "idle": Out(1),
            "completed": Out(1),
            "error": Out(1),
            "beat": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        axi = self.axi
        m.submodules.splitter = splitter = BurstSplitter(beats_bits=REQUEST_BEATS_BITS)
        m.submodules.lengths = lengths = StreamFifo(shape=8, depth=self.outstanding)
        wiring.connect(m, wiring.flipped(self.request), splitter.request)
        m.d.comb += splitter.clear.eq(self.abort)
        # every open burst has a mark whether its answer completes a store; answers come in order
        m.submodules.marks = marks = StreamFifo(shape=1, depth=self.outstanding)
        ends = Signal()
        with m.If(self.request.valid & self.request.ready):
            m.d.sync += ends.eq(self.ends)

        # ---- addresses; every opened burst leaves its length for the data side
        open_bursts = Signal(range(self.outstanding + 1))
        slots = Signal(init=1)
        opened, closed, free = Signal(), Signal(), Signal()
        m.d.comb += [
            free.eq(~axi.awvalid | axi.awready),
            splitter.burst.ready.eq(free & slots & ~self.abort),
            opened.eq(splitter.burst.valid & splitter.burst.ready),
            closed.eq(axi.bvalid & axi.bready),
            lengths.i.valid.eq(opened),
            lengths.i.payload.eq(splitter.burst.p.length),
            marks.i.valid.eq(opened),
            marks.i.payload.eq(ends & splitter.burst.p.final),
            marks.o.ready.eq(closed),
            axi.bready.eq(1),
        ]
        with m.If(free):
            m.d.sync += axi.awvalid.eq(opened)
        with m.If(opened):
            m.d.sync += [axi.awaddr.eq(Cat(Const(0, 4), splitter.burst.p.address)),
                         axi.awlen.eq(splitter.burst.p.length)]
        with m.If(opened & ~closed):
            m.d.sync += [open_bursts.eq(open_bursts + 1), slots.eq(open_bursts != self.outstanding - 1)]
        with m.Elif(closed & ~opened):
            m.d.sync += [open_bursts.eq(open_bursts - 1), slots.eq(1)]

        # ---- data: the output register keeps what it offers, also while an abort begins
        position = Signal(8)
        last, move = Signal(), Signal()
        m.d.comb += [
            last.eq(position == lengths.o.payload),
            move.eq(lengths.o.valid & (self.data.valid | self.abort) & (~axi.wvalid | axi.wready)),
            lengths.o.ready.eq(move & last),
            self.data.ready.eq(self.abort | lengths.o.valid & (~axi.wvalid | axi.wready)),
        ]
        with m.If(~axi.wvalid | axi.wready):
            m.d.sync += [
                axi.wvalid.eq(move),
                axi.wdata.eq(self.data.payload),
                axi.wlast.eq(last),
                axi.wstrb.eq((~self.abort).replicate(DATA_BITS // 8)),
            ]
        with m.If(move):
            m.d.sync += position.eq(Mux(last, 0, position + 1))
        m.d.sync += [
            self.beat.eq(axi.wvalid & axi.wready & axi.wstrb[0]),
            self.error.eq(closed & axi.bresp[1]),
            self.completed.eq(closed & marks.o.payload),
        ]
        m.d.comb += self.idle.eq((open_bursts == 0) & splitter.idle)
        return m
