"""One memory port's way in: read master, segment unit, packer."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hwgen.config.accelerator import AcceleratorConfig, Crypto
from hwgen.isa.layout import LINE_BITS
from rtl_templates.crypto.gcm_stream import GcmStream
from rtl_templates.crypto.interfaces import KeyBus, SegmentHeader
from rtl_templates.crypto.segment_bypass import SegmentBypass
from rtl_templates.crypto.segment_switch import SegmentSwitch
from rtl_templates.shell.axi import read_signature
from rtl_templates.shell.axi_read_master import AxiReadMaster
from rtl_templates.shell.packer import Packer, line_layout, word_layout
from rtl_templates.shell.program_memory import write_layout
from rtl_templates.shell.segment import SEGMENT_BEATS_BITS, segment_layout, target_layout
from rtl_templates.shell.stream_fifo import StreamFifo

#: segments a channel holds: one flowing, the others requested, their key stream being made
QUEUE = 4


def segment_unit(config: AcceleratorConfig) -> GcmStream | SegmentBypass | SegmentSwitch:
    """The component that stands between a port and the buffers."""
    if config.crypto is Crypto.BYPASS:
        image = SegmentBypass(key_bits=config.aes_key_bits)
    else:
        image = GcmStream(key_bits=config.aes_key_bits, aes_cycles=config.aes_cycles)
    if not config.protect_activations:
        return image
    return SegmentSwitch(image=image, rows=row_unit(config, encrypt=False))


def row_unit(config: AcceleratorConfig, *, encrypt: bool) -> GcmStream | SegmentBypass:
    """The component that decrypts (or encrypts) rows of feature maps in the scratch buffer."""
    if config.crypto is Crypto.BYPASS:
        return SegmentBypass(key_bits=config.aes_key_bits, encrypt=encrypt)
    return GcmStream(key_bits=config.aes_key_bits, aes_cycles=config.spill_aes_cycles, encrypt=encrypt)


def load_channel_signature(config: AcceleratorConfig) -> wiring.Signature:
    """Ports of ``LoadChannel``."""
    protection = config.protect_activations
    return wiring.Signature({
        "segment": In(stream.Signature(segment_layout(protection))),
        "line": Out(stream.Signature(line_layout(config))),
        "word": Out(stream.Signature(word_layout(config))),
        "program": Out(stream.Signature(write_layout())),
        "done": Out(1), "ack": In(1),
        "failed": Out(1), "failed_index": Out(32),
        "ring_lines": In(LINE_BITS),
        "keys": In(KeyBus(config.aes_key_bits)),
        "axi": Out(read_signature()),
        "bus_error": Out(1), "beat": Out(1),
        "abort": In(1), "idle": Out(1),
        **({"row_keys": In(KeyBus(config.aes_key_bits)), "failed_row": Out(1)} if protection else {}),
    })


class LoadChannel(wiring.Component):
    """Fetches segments in order; data, tag and headers of consecutive segments follow one another without a gap.

    Members:
        segment: In(stream of segment_layout); accepted up to ``QUEUE`` ahead of the data.
        line, word, program: Out(streams), decrypted but not yet verified.
        done: Out(1), the oldest segment not acknowledged is verified and its last item was taken; ack: In(1) drops it.
        failed: Out(1), sticky until ``abort``: a tag was wrong; failed_index: Out(32), of that segment.
        ring_lines: In. keys: In(KeyBus).
        row_keys: In(KeyBus), failed_row: Out(1), the tag was that of a row: with protected feature maps only.
        axi: Out(AXI4 read master); bus_error, beat: Out(1), pulses.
        abort: In(1), while high: everything is dropped, the segment unit is flushed, open bursts are read to their end.
        idle: Out(1), no burst is open or waiting. (The segment unit erases itself and takes headers when that is done.)
    """

    def __init__(self, *, config: AcceleratorConfig) -> None:
        self.config = config
        super().__init__(load_channel_signature(config))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        abort = Signal()
        m.d.sync += abort.eq(self.abort)
        m.submodules.master = master = AxiReadMaster(queue=QUEUE)
        m.submodules.unit = unit = segment_unit(self.config)
        m.submodules.packer = packer = Packer(config=self.config)
        source_layout = data.StructLayout({"beats": SEGMENT_BEATS_BITS, "bypass": 1})
        m.submodules.headers = headers = StreamFifo(shape=SegmentHeader, depth=QUEUE)
        m.submodules.sources = sources = StreamFifo(shape=source_layout, depth=QUEUE)
        m.submodules.targets = targets = StreamFifo(shape=target_layout(self.config.protect_activations), depth=QUEUE)
        for queue in (headers, sources, targets):
            m.d.comb += queue.clear.eq(abort)

        # ---- a segment goes into all queues at once
        segment = self.segment.payload
        accept, room = Signal(), Signal()
        m.d.comb += [
            room.eq(master.request.ready & headers.i.ready & sources.i.ready & targets.i.ready & ~abort),
            self.segment.ready.eq(room),
            accept.eq(self.segment.valid & room),
            master.request.valid.eq(accept),
            master.request.p.address.eq(segment.address),
            master.request.p.beats.eq(segment.to.beats + ~segment.to.bypass),
            headers.i.valid.eq(accept & ~segment.to.bypass),
            headers.i.payload.eq(segment.header),
            sources.i.valid.eq(accept),
            sources.i.p.beats.eq(segment.to.beats + ~segment.to.bypass),
            sources.i.p.bypass.eq(segment.to.bypass),
            targets.i.valid.eq(accept),
            targets.i.payload.eq(segment.to),
        ]
        wiring.connect(m, headers.o, unit.header)
        wiring.connect(m, targets.o, packer.to)
        wiring.connect(m, wiring.flipped(self.axi), master.axi)
        wiring.connect(m, wiring.flipped(self.keys), unit.keys)
        if isinstance(unit, SegmentSwitch):
            wiring.connect(m, wiring.flipped(self.row_keys), unit.row_keys)
            with m.If(~self.failed):
                m.d.sync += self.failed_row.eq(unit.status_row)
        m.d.comb += [master.abort.eq(abort), unit.flush.eq(abort), packer.clear.eq(abort),
                     packer.ring_lines.eq(self.ring_lines)]

        # ---- beats go to the segment unit, or past it when nothing is left in it
        source, feeding, final_beat = Signal(source_layout), Signal(), Signal()
        unchecked = Signal(range(2 * QUEUE + 4))  # segments fed or being fed to the unit, without status
        straight, through = Signal(), Signal()
        taken, ended, checked = Signal(), Signal(), Signal()
        m.d.comb += [
            straight.eq(feeding & source.bypass & (unchecked == 0) & packer.active & packer.current.bypass),
            through.eq(feeding & ~source.bypass),
            unit.data.valid.eq(master.data.valid & through),
            unit.data.p.data.eq(master.data.payload),
            packer.data.payload.eq(unit.out.p.data),
            packer.data.valid.eq(unit.out.valid),
            unit.out.ready.eq(packer.data.ready),
            master.data.ready.eq(unit.data.ready & through),
            taken.eq(master.data.valid & master.data.ready),
            ended.eq(taken & final_beat),
            sources.o.ready.eq(~feeding | ended),
            unit.status.ready.eq(1),
            checked.eq(unit.status.valid),
        ]
        with m.If(straight):
            m.d.comb += [
                packer.data.payload.eq(master.data.payload),
                packer.data.valid.eq(master.data.valid),
                master.data.ready.eq(packer.data.ready),
                unit.out.ready.eq(0),
            ]
        with m.If(taken):
            m.d.sync += [source.beats.eq(source.beats - 1), final_beat.eq(source.beats == 2)]
        with m.If(sources.o.ready):
            m.d.sync += feeding.eq(sources.o.valid)
            with m.If(sources.o.valid):
                m.d.sync += [source.eq(sources.o.payload), final_beat.eq(sources.o.p.beats == 1)]
        begun = sources.o.ready & sources.o.valid & ~sources.o.p.bypass
        with m.If(begun & ~checked):
            m.d.sync += unchecked.eq(unchecked + 1)
        with m.Elif(checked & ~begun):
            m.d.sync += unchecked.eq(unchecked - 1)

        # ---- results: verified and landed are counted apart; a segment past the unit counts as verified when it landed
        verified, landed = (Signal(range(2 * QUEUE + 4), name=name) for name in ("verified", "landed"))
        passed, landed_past, taking = Signal(), Signal(), Signal()
        m.d.comb += [
            passed.eq(checked & unit.status.p.ok & ~self.failed),  # nothing passes behind a wrong tag
            taking.eq(self.ack & self.done),
        ]
        m.d.sync += self.done.eq((verified > taking) & (landed > taking))
        m.d.comb += landed_past.eq(packer.landed & packer.landed_bypass)
        m.d.sync += [
            verified.eq(verified + (passed | landed_past & ~self.failed) - taking),
            landed.eq(landed + packer.landed - taking),
        ]
        with m.If(checked & ~unit.status.p.ok & ~self.failed):
            m.d.sync += [self.failed.eq(1), self.failed_index.eq(unit.status.p.index)]

        for target, origin in ((self.line, packer.line), (self.word, packer.word), (self.program, packer.program)):
            wiring.connect(m, wiring.flipped(target), origin)
        m.d.comb += [
            self.bus_error.eq(master.error), self.beat.eq(master.beat),
        ]
        m.d.sync += self.idle.eq(master.idle)
        with m.If(abort):
            m.d.sync += [feeding.eq(0), unchecked.eq(0), verified.eq(0), landed.eq(0), self.done.eq(0),
                         self.failed.eq(0)]
        return m
