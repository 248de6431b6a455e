"""The life of a frame: key set-up, program load, run, end or error."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.isa.layout import ISA_VERSION, LINE_BITS, LoadKind
from rtl_templates.shell.error_codes import ErrorCode
from rtl_templates.shell.program_memory import WORD_ADDR_BITS, WORD_BITS
from rtl_templates.shell.segment import load_layout

#: cycles everything is held in reset before a frame; reads in flight from the program memory come back meanwhile
CLEAR_CYCLES = 4
#: cycles an abort lasts at least, so that every component has seen it before its idle signal counts
ABORT_CYCLES = 16
#: cycles after which a bus that never ends its bursts is reported
STUCK_CYCLES = 1 << 16


def header_layout() -> data.StructLayout:
    """Word 0 of the program."""
    return data.StructLayout({"compute_at": WORD_ADDR_BITS, "load_at": WORD_ADDR_BITS, "store_at": WORD_ADDR_BITS,
                              "ring_lines": 24, "isa_version": 8, "padding": 48})


class FrameControl(wiring.Component):
    """A cold frame loads the program as a run of segments; the fetchers start as soon as the first of them is verified
    and follow the watermark. A warm frame starts them at once.

    Members:
        start, soft_reset, zeroise: In(1), pulses. warm_enable: In(1).
        invalidate: In(1), the image, its address or the key changed: nothing is resident any more.
        version, min_version, watchdog: In(32).
        program_offset: In(28), program_beats: In(24), program_flags: In(6), program_segment_log2: In(4).
        key_start: Out(1), pulse; no_key: In(1), pulse.
        program: Out(stream of load_layout), the run that loads the program.
        program_loaded: In(16), words verified in this frame; limit: Out(16), words that may be fetched.
        header_read: Out(stream of a word address); header_valid, header_data: In, from the program memory.
        clear: Out(1), load and store unit, fetchers and engine are held in reset.
        fetch: Out(1), pulse: the fetchers start; compute_at, load_at, store_at, ring_lines: Out.
        warm: Out(1), this frame skips what is resident.
        finished: In(1), engine, loads and stores are done and the results are in memory.
        read_error, write_error, tag_error: In(1); tag_index: In(32). tag_row: In(1), it is that of a row of a protected
            feature map (where there are such).
        abort: Out(1); quiet: In(1), no burst is open.
        scrub: Out(1), pulse; scrubbing: In(1).
        busy, resident, stuck: Out(1); done, failed: Out(1), pulses; error_code: Out(8), error_segment: Out(32).
        cycles, program_cycles: Out(32): of the frame; until the fetchers started.
    """

    def __init__(self, *, config: AcceleratorConfig) -> None:
        self.config = config
        super().__init__({
            "start": In(1), "soft_reset": In(1), "zeroise": In(1), "warm_enable": In(1), "invalidate": In(1),
            "version": In(32), "min_version": In(32), "watchdog": In(32),
            "program_offset": In(28), "program_beats": In(24), "program_flags": In(6), "program_segment_log2": In(4),
            "key_start": Out(1), "no_key": In(1),
            "program": Out(stream.Signature(load_layout())),
            "program_loaded": In(WORD_ADDR_BITS), "limit": Out(WORD_ADDR_BITS),
            "header_read": Out(stream.Signature(WORD_ADDR_BITS)), "header_valid": In(1), "header_data": In(WORD_BITS),
            "clear": Out(1), "fetch": Out(1), "warm": Out(1),
            "compute_at": Out(WORD_ADDR_BITS), "load_at": Out(WORD_ADDR_BITS), "store_at": Out(WORD_ADDR_BITS),
            "ring_lines": Out(LINE_BITS),
            "finished": In(1),
            "read_error": In(1), "write_error": In(1), "tag_error": In(1), "tag_index": In(32),
            "abort": Out(1), "quiet": In(1), "scrub": Out(1), "scrubbing": In(1),
            "busy": Out(1), "resident": Out(1), "stuck": Out(1), "done": Out(1), "failed": Out(1),
            "error_code": Out(8), "error_segment": Out(32),
            "cycles": Out(32), "program_cycles": Out(32),
            **({"tag_row": In(1)} if config.protect_activations else {}),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        header = Signal(header_layout())
        timer = Signal(range(STUCK_CYCLES + 1))
        late, running, reported = Signal(name="late"), Signal(name="running"), Signal(name="reported")
        old_version, header_bad = Signal(), Signal()
        m.d.comb += self.header_read.payload.eq(0)
        program = self.program.p
        m.d.comb += [
            program.kind.eq(LoadKind.PROGRAM), program.flags.eq(self.program_flags),
            program.segment_log2.eq(self.program_segment_log2), program.beats.eq(self.program_beats),
            program.offset.eq(self.program_offset),
        ]
        m.d.sync += [
            self.done.eq(0), self.failed.eq(0), self.fetch.eq(0), self.key_start.eq(0), self.scrub.eq(0),
            late.eq((self.watchdog != 0) & (self.cycles >= self.watchdog)),
            old_version.eq(self.version < self.min_version),
            self.limit.eq(Mux(self.warm, (1 << WORD_ADDR_BITS) - 1, self.program_loaded)),
        ]
        with m.If(running):
            m.d.sync += self.cycles.eq(self.cycles + 1)

        # ---- the first of these ends the frame
        code = Signal(ErrorCode)
        m.d.comb += code.eq(ErrorCode.NONE)
        for condition, name in ((late, ErrorCode.WATCHDOG), (self.write_error, ErrorCode.WRITE_BUS),
                                (self.tag_error, ErrorCode.TAG), (self.read_error, ErrorCode.READ_BUS),
                                (self.no_key, ErrorCode.NO_KEY), (header_bad, ErrorCode.PROGRAM),
                                (self.soft_reset, ErrorCode.ABORTED), (self.zeroise, ErrorCode.ZEROISED)):
            with m.If(condition):
                m.d.comb += code.eq(name)
                if name is ErrorCode.TAG and self.config.protect_activations:
                    m.d.comb += code.eq(Mux(self.tag_row, ErrorCode.ROW, ErrorCode.TAG))

        fault = Signal(ErrorCode)
        m.d.sync += fault.eq(Mux(running, code, ErrorCode.NONE))

        def watch() -> None:
            """In a state of a running frame: leave it when a fault is seen."""
            with m.If(fault != ErrorCode.NONE):
                m.d.sync += [running.eq(0), timer.eq(0), self.error_code.eq(fault),
                             self.error_segment.eq(self.tag_index), self.fetch.eq(0), self.done.eq(0),
                             self.resident.eq(0), self.busy.eq(1)]
                m.next = "ABORT"

        with m.FSM():
            with m.State("IDLE"):
                with m.If(self.zeroise):
                    m.d.sync += [self.busy.eq(1), reported.eq(1), timer.eq(0)]
                    m.next = "ABORT"
                with m.Elif(self.start):
                    m.d.sync += [
                        self.busy.eq(1), self.cycles.eq(1), self.program_cycles.eq(0), self.stuck.eq(0),
                        self.error_code.eq(ErrorCode.NONE), self.error_segment.eq(0), timer.eq(0),
                        self.warm.eq(self.warm_enable & self.resident), self.resident.eq(0),
                        header_bad.eq(0), reported.eq(0),
                    ]
                    with m.If(old_version):
                        m.d.sync += self.error_code.eq(ErrorCode.VERSION)
                        m.next = "ABORT"
                    with m.Else():
                        m.d.sync += [running.eq(1), self.key_start.eq(1), self.clear.eq(1)]
                        m.next = "CLEAR"
            with m.State("CLEAR"):
                m.d.sync += timer.eq(timer + 1)
                with m.If(timer == CLEAR_CYCLES - 1):
                    m.d.sync += self.clear.eq(0)
                    with m.If(self.warm):
                        m.next = "FETCH"
                    with m.Else():
                        m.next = "PROGRAM"
                watch()
            with m.State("PROGRAM"):
                m.d.comb += self.program.valid.eq(1)
                with m.If(self.program.ready):
                    m.next = "HEADER"
                watch()
            with m.State("HEADER"):
                m.d.comb += self.header_read.valid.eq(self.limit != 0)
                with m.If(self.header_read.valid & self.header_read.ready):
                    m.next = "READ"
                watch()
            with m.State("READ"):
                m.d.sync += header.eq(self.header_data)
                with m.If(self.header_valid):
                    m.next = "CHECK"
                watch()
            with m.State("CHECK"):
                words = self.config.program_words
                m.d.sync += [
                    header_bad.eq((header.isa_version != ISA_VERSION) | (header.compute_at >= words)
                                  | (header.load_at >= words) | (header.store_at >= words)
                                  | (header.ring_lines > self.config.weight_lines)),
                    self.compute_at.eq(header.compute_at), self.load_at.eq(header.load_at),
                    self.store_at.eq(header.store_at), self.ring_lines.eq(header.ring_lines),
                ]
                m.next = "FETCH"
                watch()
            with m.State("FETCH"):
                m.d.sync += [self.fetch.eq(~header_bad), self.program_cycles.eq(self.cycles)]
                m.next = "RUN"
                watch()
            with m.State("RUN"):
                with m.If(self.finished):
                    m.d.sync += [self.done.eq(1), self.busy.eq(0), running.eq(0), self.resident.eq(1)]
                    m.next = "IDLE"
                watch()
            with m.State("ABORT"):
                m.d.comb += self.abort.eq(1)
                m.d.sync += [self.clear.eq(1), running.eq(0), timer.eq(timer + 1), self.resident.eq(0)]
                with m.If((timer >= ABORT_CYCLES) & self.quiet):
                    m.d.sync += self.scrub.eq(1)
                    m.next = "SCRUB"
                with m.If(timer == STUCK_CYCLES):
                    m.d.sync += [timer.eq(timer), self.stuck.eq(1), self.failed.eq(~reported), reported.eq(1)]
            with m.State("SCRUB"):
                m.d.sync += self.clear.eq(0)
                with m.If(~self.scrub & ~self.scrubbing):
                    m.d.sync += [self.busy.eq(0), self.stuck.eq(0), self.failed.eq(~reported)]
                    m.next = "IDLE"

        with m.If(self.invalidate):
            m.d.sync += self.resident.eq(0)
        return m
