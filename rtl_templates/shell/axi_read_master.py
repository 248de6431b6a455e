"""Reads runs of beats over AXI4."""

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl_templates.shell.axi import DATA_BITS, read_signature
from rtl_templates.shell.burst_splitter import BurstSplitter, request_layout
from rtl_templates.shell.stream_fifo import StreamFifo
from rtl_templates.shell.stream_register import StreamRegister

#: a request is at most a 16 KiB segment and its tag
REQUEST_BEATS_BITS = 11


class AxiReadMaster(wiring.Component):
    """Requests are queued and turned into bursts ahead of the data, so that a latency of
    ``outstanding`` × burst length cycles is hidden; the data come in order, one beat per cycle.

    Args:
        outstanding: bursts requested and not finished.
        queue: requests waiting.

    Members:
        request: In(stream of {address, beats}), in 16-byte beats.
        data: Out(stream of 128), two cycles behind the bus.
        axi: Out(AXI4 read master).
        abort: In(1), while high: no new burst, open ones are read to their end and dropped, requests are dropped.
        idle: Out(1), no request waiting and no burst open.
        error: Out(1), pulse: a beat answered SLVERR or DECERR.
        beat: Out(1), pulse per beat transferred.
    """

    def __init__(self, *, outstanding: int = 8, queue: int = 4) -> None:
        self.outstanding, self.queue = outstanding, queue
        super().__init__({
            "request": In(stream.Signature(request_layout(REQUEST_BEATS_BITS))),
            "data": Out(stream.Signature(DATA_BITS)),
            "axi": Out(read_signature()),
            "abort": In(1),
            "idle": Out(1),
            "error": Out(1),
            "beat": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        axi = self.axi
        m.submodules.requests = requests = StreamFifo(shape=request_layout(REQUEST_BEATS_BITS), depth=self.queue)
        m.submodules.splitter = splitter = BurstSplitter(beats_bits=REQUEST_BEATS_BITS)
        m.submodules.register = register = StreamRegister(shape=DATA_BITS)
        wiring.connect(m, wiring.flipped(self.request), requests.i)
        wiring.connect(m, requests.o, splitter.request)
        wiring.connect(m, register.o, wiring.flipped(self.data))
        m.d.comb += [requests.clear.eq(self.abort), splitter.clear.eq(self.abort), register.clear.eq(self.abort)]

        # ---- addresses
        open_bursts = Signal(range(self.outstanding + 1))
        slots = Signal(init=1)
        opened, closed = Signal(), Signal()
        free = Signal()
        m.d.comb += [
            free.eq(~axi.arvalid | axi.arready),
            splitter.burst.ready.eq(free & slots & ~self.abort),
            opened.eq(splitter.burst.valid & splitter.burst.ready),
            closed.eq(axi.rvalid & axi.rready & axi.rlast),
        ]
        with m.If(free):
            m.d.sync += axi.arvalid.eq(opened)
        with m.If(opened):
            m.d.sync += [axi.araddr.eq(Cat(Const(0, 4), splitter.burst.p.address)),
                         axi.arlen.eq(splitter.burst.p.length)]
        with m.If(opened & ~closed):
            m.d.sync += [open_bursts.eq(open_bursts + 1), slots.eq(open_bursts != self.outstanding - 1)]
        with m.Elif(closed & ~opened):
            m.d.sync += [open_bursts.eq(open_bursts - 1), slots.eq(1)]

        # ---- data
        m.d.comb += [
            axi.rready.eq(register.i.ready | self.abort),
            register.i.payload.eq(axi.rdata),
            register.i.valid.eq(axi.rvalid & ~self.abort),
        ]
        m.d.sync += [
            self.beat.eq(axi.rvalid & axi.rready),
            self.error.eq(axi.rvalid & axi.rready & axi.rresp[1]),
        ]
        m.d.comb += self.idle.eq((open_bursts == 0) & splitter.idle & requests.empty)
        return m
