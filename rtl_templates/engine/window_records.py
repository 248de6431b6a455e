"""Requantisation records of the window unit's lanes, loaded for the next block while one runs."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwgen.config.accelerator import AcceleratorConfig

#: of a record: bias, multiplier, shift (offset in bits, width); there is no residual
WINDOW_RECORD = ((0, 32), (32, 16), (64, 6))
WINDOW_RECORD_BITS = sum(width for _, width in WINDOW_RECORD)


class WindowRecords(wiring.Component):
    """Members:
        line: In(line_bytes*8); line_enable: In(window_record_lines), one bit per line.
        swap: In(1), the loaded records become active.
        records: Out(p_i*WINDOW_RECORD_BITS), the active ones, lane 0 lowest.
    """

    def __init__(self, *, config: AcceleratorConfig) -> None:
        self.config = config
        super().__init__({
            "line": In(config.line_bytes * 8), "line_enable": In(config.window_record_lines),
            "swap": In(1),
            "records": Out(config.p_i * WINDOW_RECORD_BITS),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        compact = [Cat(*(self.line[channel * 128 + at:channel * 128 + at + width] for at, width in WINDOW_RECORD))
                   for channel in range(config.params_per_line)]
        loaded = Signal(config.p_i * WINDOW_RECORD_BITS)
        for lane in range(config.p_i):
            line, channel = divmod(lane, config.params_per_line)
            with m.If(self.line_enable[line]):
                m.d.sync += loaded.word_select(lane, WINDOW_RECORD_BITS).eq(compact[channel])
        with m.If(self.swap):
            m.d.sync += self.records.eq(loaded)
        return m
