"""Turns load descriptors into segments, deals them to the channels and retires them in order."""

from amaranth.hdl import Array, Const, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.isa.layout import COUNT_BITS, LINE_BITS, SEQ_BITS, LoadFlag, LoadKind
from rtl_templates.crypto.interfaces import ROW_FLAGS
from rtl_templates.shell.axi import BEAT_ADDR_BITS
from rtl_templates.shell.load_channel import QUEUE
from rtl_templates.shell.program_memory import WORD_ADDR_BITS
from rtl_templates.shell.segment import (
    SEGMENT_BEATS_BITS,
    load_layout,
    load_step_layout,
    row_beats,
    segment_layout,
)
from rtl_templates.shell.stream_fifo import StreamFifo

#: ``loaded`` when the weights of the whole frame are there
EVERYTHING = (1 << SEQ_BITS) - 1


class LoadUnit(wiring.Component):
    """About six cycles per segment and eight per descriptor, while the channels are busy with earlier ones.

    A step descriptor makes the load behind it one of several planes: equal runs at a fixed distance in memory and on
    the chip, which count as one load. Of a protected feature map (``config.protect_activations``, SCRATCH) every row of
    a plane is a segment, whose index is its place in the scratch buffer. Segments go to the channels in turn. Retiring
    in the order of the program is what makes ``loaded``, ``act_loaded`` and ``program_loaded`` watermarks: everything
    below them is in its memory and verified.

    Held in reset before a frame starts, and on abort.

    Members:
        descriptor: In(stream of load_layout); last: Out(1), the descriptor taken is the program's END.
        segment: Out(stream of segment_layout) × ports; done: In(ports), ack: Out(ports), see ``LoadChannel``.
        image, input, scratch: In, beat addresses.
        warm: In(1): RESIDENT runs are skipped.
        progress: In(16), retired compute descriptors; stored: In(16), stores complete.
        freed: In(24), lines of the weight stream used for the last time.
        last_frame: In(12), of a start of a streaming pipeline: its inputs lie one behind the other.
        ring_lines: In.
        loaded: Out(24); act_loaded: Out(16); program_loaded: Out(16), words.
        finished: Out(1), END was taken and everything has retired.
    """

    def __init__(self, *, config: AcceleratorConfig) -> None:
        self.config = config
        ports = config.axi_ports
        super().__init__({
            "descriptor": In(stream.Signature(load_layout())),
            "last": Out(1),
            "segment": Out(stream.Signature(segment_layout(config.protect_activations))).array(ports),
            "done": In(ports), "ack": Out(ports),
            "image": In(BEAT_ADDR_BITS), "input": In(BEAT_ADDR_BITS), "scratch": In(BEAT_ADDR_BITS),
            "warm": In(1),
            "progress": In(COUNT_BITS), "stored": In(COUNT_BITS), "freed": In(SEQ_BITS), "ring_lines": In(LINE_BITS),
            "loaded": Out(SEQ_BITS), "act_loaded": Out(COUNT_BITS), "program_loaded": Out(WORD_ADDR_BITS),
            "finished": Out(1),
            **({} if config.pipeline is None else {"last_frame": In(12)}),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        ports = self.config.axi_ports
        line_beats_log2 = (self.config.line_bytes // 16).bit_length() - 1
        order_layout = data.StructLayout({"kind": 2, "beats": SEGMENT_BEATS_BITS, "port": range(max(2, ports)),
                                          "ends": 1, "skipped": 1})
        m.submodules.order = order = StreamFifo(shape=order_layout, depth=4 * QUEUE * ports)

        # ---- one descriptor at a time
        load = Signal(load_layout())
        protection = self.config.protect_activations
        step = load_step_layout(protection)
        coming, steps = Signal(step), Signal(step)  # of the next load; of this one
        address, plane_address = Signal(BEAT_ADDR_BITS), Signal(BEAT_ADDR_BITS)
        plane_target, last_plane, final_plane = Signal(LINE_BITS), Signal(12), Signal()
        left = Signal(load.beats.shape())
        index, target = Signal(32), Signal(LINE_BITS)
        full = Signal(SEGMENT_BEATS_BITS)  # payload beats of a full segment
        beats, final = Signal(SEGMENT_BEATS_BITS), Signal()
        sequence, ring_line = Signal(SEQ_BITS), Signal(LINE_BITS)  # of the next weight segment
        ring_next, ring_wrapped = Signal(LINE_BITS + 1), Signal(signed(LINE_BITS + 2))
        stride = Signal(SEGMENT_BEATS_BITS + 1)
        sequence_end, in_ring, room = Signal(SEQ_BITS), Signal(SEQ_BITS), Signal()
        port = Signal(range(max(2, ports)))
        arrived, stores_there, ended = Signal(), Signal(), Signal()
        is_weights, is_input = Signal(), Signal()
        segment = Signal(segment_layout(protection))
        offered = Signal()

        m.d.comb += [
            self.last.eq(self.descriptor.p.flags[LoadFlag.END]),
            is_weights.eq(load.kind == LoadKind.WEIGHTS),
            is_input.eq(load.kind == LoadKind.INPUT),
            order.i.p.kind.eq(load.kind), order.i.p.beats.eq(beats), order.i.p.port.eq(port),
            order.i.p.ends.eq(final & final_plane),
            segment.address.eq(address),
            segment.to.kind.eq(load.kind), segment.to.beats.eq(beats), segment.to.bypass.eq(is_input),
            segment.to.target.eq(Mux(is_weights, ring_line, target)),
            segment.header.index.eq(index), segment.header.length.eq(beats),
            segment.header.dest.eq(load.dest), segment.header.flags.eq(load.flags | load.kind << 6),
        ]
        with_tag, odd = ~is_input, Const(0)
        if protection:
            is_spilled = Signal()
            with_tag, odd = with_tag | is_spilled, is_spilled & steps.row_words[0] & (self.config.p_i == 8)
            m.d.comb += [
                is_spilled.eq(is_input & load.flags[LoadFlag.SCRATCH]),
                segment.to.bypass.eq(~with_tag), segment.to.odd.eq(odd),
            ]
            with m.If(is_spilled):
                m.d.comb += [segment.header.dest.eq(0), segment.header.flags.eq(ROW_FLAGS)]
        for number, out in enumerate(self.segment):
            m.d.comb += [out.payload.eq(segment), out.valid.eq(offered & (port == number) & order.i.ready)]
        m.d.sync += [
            arrived.eq(self.progress >= load.wait_progress),
            stores_there.eq(self.stored >= steps.wait_store),
            final_plane.eq(last_plane == 0),
            in_ring.eq(sequence_end - self.freed),
            room.eq(in_ring <= self.ring_lines),
        ]

        with m.FSM():
            with m.State("DESCRIPTOR"):
                m.d.comb += self.descriptor.ready.eq(~ended)
                m.d.sync += load.eq(self.descriptor.payload)
                with m.If(self.descriptor.valid & ~ended):
                    m.d.sync += [steps.eq(coming), coming.eq(0)]
                    with m.If(self.last):
                        m.d.sync += ended.eq(1)
                    with m.Elif(self.descriptor.p.flags[LoadFlag.STEPS]):
                        m.d.sync += coming.eq(self.descriptor.payload.as_value())
                    with m.Elif(self.warm & self.descriptor.p.flags[LoadFlag.RESIDENT]):
                        m.next = "SKIP"
                    with m.Else():
                        m.next = "BASE"
            with m.State("SKIP"):
                m.d.comb += [order.i.valid.eq(1), order.i.p.skipped.eq(1), order.i.p.ends.eq(1)]
                with m.If(order.i.ready):
                    m.next = "DESCRIPTOR"
            with m.State("BASE"):
                m.d.sync += plane_address.eq(
                    Mux(load.flags[LoadFlag.SCRATCH], self.scratch, Mux(is_input, self.input, self.image)))
                m.next = "ADDRESS"
            with m.State("ADDRESS"):
                m.d.sync += [
                    plane_address.eq(plane_address + load.offset), index.eq(load.index), plane_target.eq(load.dest),
                    full.eq(1 << load.segment_log2), last_plane.eq(steps.last_plane),
                ]
                if self.config.pipeline is not None:
                    with m.If(is_input):
                        m.d.sync += last_plane.eq(self.last_frame)
                        m.d.sync += steps.offset_step.eq(load.beats)
                if protection:
                    with m.If(is_spilled):
                        m.d.sync += full.eq(row_beats(steps.row_words, self.config.p_i))
                m.next = "PROGRESS"
            with m.State("PROGRESS"):
                m.d.sync += [address.eq(plane_address), target.eq(plane_target), left.eq(load.beats)]
                with m.If(arrived & stores_there):
                    m.next = "SIZE"
            with m.State("PLANE"):
                m.d.sync += [
                    plane_address.eq(plane_address + steps.offset_step),
                    plane_target.eq(plane_target + steps.dest_step),
                    last_plane.eq(last_plane - 1),
                ]
                m.next = "PROGRESS"
            with m.State("SIZE"):
                fits = Signal()
                m.d.comb += fits.eq(left <= full)
                m.d.sync += [final.eq(fits), beats.eq(Mux(fits, left, full))]
                m.next = "LINES"
            with m.State("LINES"):
                m.d.sync += [sequence_end.eq(sequence + (beats >> line_beats_log2)),
                             ring_next.eq(ring_line + (beats >> line_beats_log2))]
                m.d.sync += stride.eq(beats + with_tag)
                if protection:
                    with m.If(is_spilled):
                        m.d.sync += index.eq(address - self.scratch)
                with m.If(is_weights):
                    m.next = "RING"
                with m.Else():
                    m.next = "OFFER"
            with m.State("RING"):  # in_ring is being formed
                m.d.sync += ring_wrapped.eq(ring_next - self.ring_lines)
                m.next = "ROOM"
            with m.State("ROOM"):  # room is being formed
                m.next = "CHECK"
            with m.State("CHECK"), m.If(room):
                m.next = "OFFER"
            with m.State("OFFER"):
                m.d.comb += offered.eq(1)
                with m.If(Array([out.ready for out in self.segment])[port] & order.i.ready):
                    m.d.comb += order.i.valid.eq(1)
                    m.d.sync += [
                        port.eq(Mux(port == ports - 1, 0, port + 1)),
                        address.eq(address + stride), left.eq(left - beats), index.eq(index + 1),
                    ]
                    with m.If(is_weights):
                        m.d.sync += [
                            sequence.eq(sequence_end),
                            ring_line.eq(Mux(ring_wrapped < 0, ring_next, ring_wrapped)[:LINE_BITS]),
                        ]
                    with m.If(final & final_plane):
                        m.next = "DESCRIPTOR"
                    with m.Elif(final):
                        m.next = "PLANE"
                    with m.Else():
                        m.next = "TARGET"
            with m.State("TARGET"):
                word_beats = max(1, self.config.p_i // 16)
                words = beats << 1 if self.config.p_i == 8 else beats >> (word_beats.bit_length() - 1)
                if protection:
                    words = words - odd
                m.d.sync += target.eq(target + Mux(load.kind == LoadKind.PROGRAM, beats, words))
                m.next = "SIZE"

        # ---- retire
        head = order.o.payload
        retire = Signal()
        m.d.comb += [
            retire.eq(order.o.valid & (head.skipped | Array(self.done)[head.port])),
            order.o.ready.eq(retire),
        ]
        for number in range(ports):
            m.d.comb += self.ack[number].eq(retire & ~head.skipped & (head.port == number))
        infinite = Signal()
        with m.If(retire), m.Switch(head.kind):
            with m.Case(LoadKind.WEIGHTS):
                with m.If(head.skipped):
                    m.d.sync += infinite.eq(1)
                with m.Else():
                    m.d.sync += self.loaded.eq(self.loaded + (head.beats >> line_beats_log2))
            with m.Case(LoadKind.PROGRAM):
                m.d.sync += self.program_loaded.eq(self.program_loaded + head.beats)
            with m.Default():
                m.d.sync += self.act_loaded.eq(self.act_loaded + head.ends)
        with m.If(infinite):
            m.d.sync += self.loaded.eq(EVERYTHING)
        m.d.sync += self.finished.eq(ended & order.empty)
        return m
