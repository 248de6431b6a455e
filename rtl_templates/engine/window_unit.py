"""The window unit: depthwise convolutions and maximum pools beside the array."""

from amaranth.hdl import Cat, ClockSignal, Instance, Module, Mux, ResetInserter, ResetSignal, Signal
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from hwgen.config.accelerator import AcceleratorConfig, WindowUnit
from hwgen.isa.layout import ACT_ADDR_BITS, COUNT_BITS, Opcode
from rtl_templates.engine.delay import delay
from rtl_templates.engine.descriptor import window_layout
from rtl_templates.engine.requantise import Requantise
from rtl_templates.engine.timing import WINDOW_QUEUE, WINDOW_WORD, window_flush, window_result
from rtl_templates.engine.window_lane import WindowLane, total_bits
from rtl_templates.engine.window_parameters import WindowParameters
from rtl_templates.engine.window_records import WINDOW_RECORD_BITS, WindowRecords
from rtl_templates.engine.window_results import WindowResults
from rtl_templates.engine.window_rows import WindowRows, rows_depth
from rtl_templates.engine.window_sequencer import WindowSequencer
from rtl_templates.engine.window_tags import WindowTags
from rtl_templates.shell.stream_register import StreamRegister

WINDOW_LANE = "hwgen_window_lane"
WINDOW_REQUANTISE = "hwgen_window_requantise"
#: descriptors that may wait in front of the unit
DESCRIPTORS = 4


def window_entries(config: AcceleratorConfig) -> int:
    """Cycles that ``scrub`` takes."""
    return max(WINDOW_QUEUE, 1 << (rows_depth(config) - 1).bit_length())


class SlidingWindow(wiring.Component):
    """One word per cycle in, one result per cycle out, p_i channels each; see docs/architecture.md.

    Members:
        descriptors: stream In, window_layout.
        parameter_write: In(1), parameter_line: In(line_bytes*8): lines of weight memory, in order;
            parameter_taken: Out(1), pulse: one has left the queue of ``timing.WINDOW_QUEUE``.
        act_loaded, stored, progress: In(16); retired: Out(1), pulse.
        read: stream Out {addr}; word: In(p_i*8), WINDOW_WORD - 1 cycles after the transfer.
        write: stream Out {addr, data}.
        busy: Out(1), a word was taken.
        clear: In(1), drops and zeroises everything but the memories.
        scrub: In(1), overwrites the queue of lines and the rows, an entry per cycle; then ``clear`` is needed.
    """

    def __init__(self, *, config: AcceleratorConfig) -> None:
        self.config = config
        word = config.p_i * 8
        super().__init__({
            "descriptors": In(stream.Signature(window_layout())),
            "parameter_write": In(1), "parameter_line": In(config.line_bytes * 8), "parameter_taken": Out(1),
            "act_loaded": In(COUNT_BITS), "stored": In(COUNT_BITS), "progress": In(COUNT_BITS), "retired": Out(1),
            "read": Out(stream.Signature(data.StructLayout({"addr": ACT_ADDR_BITS}))), "word": In(word),
            "write": Out(stream.Signature(data.StructLayout({"addr": ACT_ADDR_BITS, "data": word}))),
            "busy": Out(1), "clear": In(1), "scrub": In(1),
        })

    def submodules(self) -> dict[str, wiring.Component]:
        """Components to be converted to Verilog beside this one, by module name."""
        lane = {WINDOW_LANE: WindowLane(config=self.config)}
        if self.config.window is not WindowUnit.DEPTHWISE:
            return lane
        return {**lane, WINDOW_REQUANTISE: Requantise(config=self.config, whole=False)}

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, kernel, taps = self.config, self.config.window_kernel, self.config.window_taps
        depthwise = config.window is WindowUnit.DEPTHWISE
        queue = fifo.SyncFIFOBuffered(width=window_layout().size, depth=DESCRIPTORS)
        m.submodules.queue = queue
        m.submodules.sequencer = sequencer = WindowSequencer(config=config)
        m.submodules.positions = positions = StreamRegister(shape=sequencer.positions.payload.shape())
        m.submodules.tags = tags = WindowTags(config=config)
        m.submodules.rows = rows = WindowRows(config=config)
        m.submodules.parameters = parameters = WindowParameters(config=config)
        m.submodules.results = results = WindowResults(config=config)
        held = sequencer.held
        maximum = held.opcode == Opcode.WINDOW_MAX

        # ---- descriptors, waits
        m.d.comb += [
            queue.w_data.eq(self.descriptors.payload), queue.w_en.eq(self.descriptors.valid),
            self.descriptors.ready.eq(queue.w_rdy),
            sequencer.descriptors.payload.eq(queue.r_data), sequencer.descriptors.valid.eq(queue.r_rdy),
            queue.r_en.eq(sequencer.descriptors.ready),
            sequencer.act_loaded.eq(self.act_loaded), sequencer.stored.eq(self.stored),
            sequencer.progress.eq(self.progress), self.retired.eq(sequencer.retired),
            sequencer.result_taken.eq(results.taken), sequencer.landed.eq(results.landed),
        ]
        wiring.connect(m, sequencer.positions, positions.i)

        # ---- positions: with a word when memory grants it, or without one at once
        position, granted = positions.o.p, Signal()
        m.d.comb += [
            self.read.valid.eq(positions.o.valid & position.read), self.read.p.addr.eq(position.addr),
            positions.o.ready.eq(~position.read | self.read.ready),
            granted.eq(positions.o.valid & positions.o.ready),
            tags.held.eq(held), tags.start.eq(sequencer.start), tags.granted.eq(granted), tags.position.eq(position),
        ]
        m.d.sync += self.busy.eq(self.read.valid & self.read.ready)
        word = Signal(config.p_i * 8)
        delay_last = Signal.like(rows.delay_last)
        m.d.sync += [word.eq(self.word), delay_last.eq(held.last_l0 + kernel)]
        m.d.comb += [
            rows.start.eq(sequencer.start), rows.delay_last.eq(delay_last), rows.scrub.eq(self.scrub),
            rows.move.eq(delay(m, granted, WINDOW_WORD, "move")), rows.word.eq(word),
        ]

        # ---- outputs follow their taps from position to position (element e of the lanes: see WindowLane)
        shift = rows.shift
        emits, firsts = [tags.output.emit], [tags.output.emit & tags.output.first]
        for position_number in range(window_flush(config)):
            emit, first = Signal(name=f"emit_{position_number}"), Signal(name=f"first_{position_number}")
            with m.If(shift):
                m.d.sync += [emit.eq(emits[-1]), first.eq(firsts[-1])]
            emits.append(emit)
            firsts.append(first)
        inside = []
        for e in range(taps):
            flag = tags.output.inside[(kernel - 1 - e // kernel) * kernel + e % kernel]
            for position_number in range(e + 1):
                following = Signal(name=f"inside_{e}_{position_number}", reset_less=True)
                with m.If(shift):
                    m.d.sync += following.eq(flag)
                flag = following
            inside.append(flag)
        complete, opens = Signal(), Signal()
        m.d.sync += [
            complete.eq(shift & Mux(maximum, emits[taps], emits[-1])),
            opens.eq(shift & Mux(maximum, firsts[taps], firsts[-1])),
        ]

        # ---- weights and records
        record_lines = config.window_record_lines
        m.d.comb += [
            parameters.write.eq(self.parameter_write), parameters.write_line.eq(self.parameter_line),
            self.parameter_taken.eq(parameters.taken), parameters.scrub.eq(self.scrub),
            parameters.block_started.eq(sequencer.block_started), parameters.swapped.eq(opens),
            sequencer.parameters_ready.eq(parameters.ready),
        ]
        tap_enable = parameters.line_enable[record_lines:]
        used = Signal(taps)
        for tap in range(taps):
            line, column = divmod(tap, config.line_columns)
            with m.If(tap_enable[line]):
                m.d.sync += used[tap].eq(parameters.line.word_select(column * config.p_i, 8).any())
        m.d.comb += tags.used.eq(used)

        # ---- lanes
        reset = Signal()
        m.d.comb += reset.eq(ResetSignal() | self.clear)
        lo, hi = held.lo, held.hi
        if depthwise:
            m.submodules.record_registers = records = WindowRecords(config=config)
            m.d.comb += [records.line.eq(parameters.line), records.line_enable.eq(parameters.line_enable),
                         records.swap.eq(opens)]
        else:
            records = None
        for lane in range(config.p_i):
            columns = Cat(*(rows.columns.word_select(row * config.p_i + lane, 8) for row in range(kernel)))
            total = Signal(total_bits(config), name=f"total_{lane}")
            result = results.word.word_select(lane, 8)
            weights = {
                "i_swap": Cat(*firsts[1:taps + 1]), "i_maximum": maximum, "i_line_enable": tap_enable,
                "i_line": Cat(*(parameters.line.word_select(column * config.p_i + lane, 8)
                                for column in range(config.line_columns))),
            }
            m.submodules[f"lane_{lane}"] = Instance(
                WINDOW_LANE, i_clk=ClockSignal(), i_rst=reset, i_shift=shift, i_columns=columns,
                i_inside=Cat(*inside), o_total=total, **(weights if depthwise else {}))
            if records is None:
                value = total.as_signed()
                m.d.sync += result.eq(Mux(value < lo, lo, Mux(value > hi, hi, value)))
                continue
            record = records.records.word_select(lane, WINDOW_RECORD_BITS)
            acc = Signal(config.acc_bits, name=f"acc_{lane}")
            m.d.comb += acc.eq(total.as_signed())
            m.submodules[f"requantise_{lane}"] = Instance(
                WINDOW_REQUANTISE, i_clk=ClockSignal(), i_rst=reset, i_acc=acc,
                i_bias=record[:32], i_multiplier=record[32:48], i_shift=record[48:54], i_lo=lo, i_hi=hi,
                o_result=result)

        # ---- results
        m.d.comb += [
            results.destination.eq(tags.destination), results.destination_valid.eq(tags.destination_valid),
            results.word_valid.eq(delay(m, complete, window_result(config), "result")),
        ]
        wiring.connect(m, wiring.flipped(self.write), results.write)
        return ResetInserter(self.clear)(m)
