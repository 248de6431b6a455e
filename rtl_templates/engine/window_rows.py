"""The rows of the window: from a sequence of words to columns of words one above the other."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwgen.config.accelerator import AcceleratorConfig, RamStyle
from rtl_templates.engine.delay import delay
from rtl_templates.engine.timing import WINDOW_ROWS
from rtl_templates.memory.ram import Ram


def rows_depth(config: AcceleratorConfig) -> int:
    """Words of the row memory."""
    return config.window_width + config.window_kernel


class WindowRows(wiring.Component):
    """K - 1 delays of ``row + K`` positions each, in one circular memory.

    A delay of a row and K positions, not of a row: the multipliers of a row of the window are a chain that takes K
    positions, and its end is the beginning of the row above (``window_lane``).

    Members:
        start: In(1), the next position is the first of a descriptor; delay_last: In, row + K - 1.
        move: In(1), a position; word: In(p_i*8), its word.
        shift: Out(1), WINDOW_ROWS cycles after ``move``; columns: Out(K*p_i*8), newest row first, in that cycle.
        scrub: In(1), overwrites the memory, a word per cycle; then ``start`` is needed.
    """

    def __init__(self, *, config: AcceleratorConfig) -> None:
        self.config = config
        word, kernel = config.p_i * 8, config.window_kernel
        self.depth = rows_depth(config)
        super().__init__({
            "start": In(1), "delay_last": In(range(self.depth)),
            "move": In(1), "word": In(word),
            "shift": Out(1), "columns": Out(kernel * word),
            "scrub": In(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        word, older = self.config.p_i * 8, self.config.window_kernel - 1
        m.submodules.rows = rows = Ram(width=older * word, depth=self.depth, style=RamStyle.BLOCK)
        at = Signal(range(self.depth))
        with m.If(self.start):
            m.d.sync += at.eq(0)
        with m.Elif(self.move | self.scrub):
            m.d.sync += at.eq(Mux((at == self.delay_last) & ~self.scrub, 0, at + 1))
        output = Signal(older * word)
        m.d.sync += output.eq(rows.read_data)
        m.d.comb += [
            rows.read_addr.eq(at),
            self.shift.eq(delay(m, self.move, WINDOW_ROWS, "shift")),
            self.columns.eq(Cat(delay(m, self.word, WINDOW_ROWS, "newest"), output)),
            rows.write_addr.eq(Mux(self.scrub, at, delay(m, at, WINDOW_ROWS, "at"))),
            rows.write_en.eq(self.shift | self.scrub),
            rows.write_data.eq(Mux(self.scrub, 0, self.columns)),
        ]
        return m
