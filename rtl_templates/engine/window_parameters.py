"""The queue of weight-memory lines in front of the window unit, and what loads them block by block."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwgen.config.accelerator import AcceleratorConfig, RamStyle
from rtl_templates.engine.timing import WINDOW_QUEUE
from rtl_templates.memory.ram import Ram


class WindowParameters(wiring.Component):
    """Hands the lines of the next block to the lanes as soon as those of the one before have become active everywhere.

    Members:
        write: In(1), write_line: In(line_bytes*8): the next line; the writer counts what has been ``taken``.
        taken: Out(1), pulse: a line has left the queue.
        line: Out(line_bytes*8), with line_enable: Out(window_lines), one bit per line of a block.
        block_started: In(1), pulse: the first output of the block that waits is on its way; swapped: In(1), pulse: it
            has passed, its lines are in use.
        ready: Out(1), a block waits.
        scrub: In(1), overwrites the memory, a line per cycle.
    """

    def __init__(self, *, config: AcceleratorConfig) -> None:
        self.config = config
        super().__init__({
            "write": In(1), "write_line": In(config.line_bytes * 8), "taken": Out(1),
            "line": Out(config.line_bytes * 8), "line_enable": Out(config.window_lines),
            "block_started": In(1), "swapped": In(1), "ready": Out(1),
            "scrub": In(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        width, lines = self.config.line_bytes * 8, self.config.window_lines
        m.submodules.queue = queue = Ram(width=width, depth=WINDOW_QUEUE, style=RamStyle.BLOCK)
        write_at, read_at = Signal(range(WINDOW_QUEUE)), Signal(range(WINDOW_QUEUE))
        level, some = Signal(range(WINDOW_QUEUE + 1)), Signal()
        with m.If(self.write & ~self.taken):
            m.d.sync += [level.eq(level + 1), some.eq(1)]
        with m.Elif(self.taken & ~self.write):
            m.d.sync += [level.eq(level - 1), some.eq(level != 1)]
        with m.If(self.write | self.scrub):
            m.d.sync += write_at.eq(write_at + 1)
        with m.If(self.taken):
            m.d.sync += read_at.eq(read_at + 1)
        m.d.comb += [
            queue.write_addr.eq(write_at), queue.write_en.eq(self.write | self.scrub),
            queue.write_data.eq(Mux(self.scrub, 0, self.write_line)),
            queue.read_addr.eq(read_at),
        ]

        # ---- the next block: which line is read (a bit each), then the memory, then the register before the lanes
        asked, arriving = Signal(lines, init=1), Signal(lines)
        loading, full, started = Signal(init=1), Signal(), Signal()
        m.d.comb += [self.taken.eq(loading & some), self.ready.eq(full & ~started)]
        m.d.sync += [
            arriving.eq(asked & self.taken.replicate(lines)),
            self.line_enable.eq(arriving), self.line.eq(queue.read_data),
        ]
        with m.If(self.taken):
            m.d.sync += asked.eq(asked.rotate_left(1))
            with m.If(asked[-1]):
                m.d.sync += loading.eq(0)
        with m.If(self.line_enable[-1]):
            m.d.sync += full.eq(1)
        with m.If(self.block_started):
            m.d.sync += started.eq(1)
        with m.If(self.swapped):
            m.d.sync += [full.eq(0), started.eq(0), loading.eq(1)]
        return m
