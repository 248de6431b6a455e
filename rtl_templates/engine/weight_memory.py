"""On-chip weights: one line read and one line (or granule) written per cycle."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.isa.layout import ACT_ADDR_BITS, LINE_BITS
from rtl_templates.engine.delay import delay
from rtl_templates.engine.timing import WEIGHT_LINE
from rtl_templates.memory.ram import Ram

#: line read issued to data: address register, memory, output registers (deep UltraRAM columns want two), routing
READ_LATENCY = WEIGHT_LINE - 1


class WeightMemory(wiring.Component):
    """``weight_lines`` lines of ``line_bytes``, written in granules of p_i bytes by the post-processor.

    Members:
        read_line: In(LINE_BITS); read_data: Out(line_bytes*8), READ_LATENCY cycles later.
        write: stream In {line, data}: whole lines from the load unit; waits while results are written.
        granule_valid: In(2), granule_addr: In (of word 0; word 1 is the next granule), granule_data0/1: reconstruction.
    """

    def __init__(self, *, config: AcceleratorConfig) -> None:
        self.config = config
        super().__init__({
            "read_line": In(LINE_BITS),
            "read_data": Out(config.line_bytes * 8),
            "write": In(stream.Signature(data.StructLayout({"line": LINE_BITS, "data": config.line_bytes * 8}))),
            "granule_valid": In(2),
            "granule_addr": In(ACT_ADDR_BITS),
            "granule_data0": In(config.p_i * 8),
            "granule_data1": In(config.p_i * 8),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        m.submodules.lines = lines = Ram(width=config.line_bytes * 8, depth=config.weight_lines,
                                         granules=config.line_columns, style=config.weight_ram)
        middle = Signal(config.line_bytes * 8)
        m.d.sync += [lines.read_addr.eq(self.read_line), middle.eq(lines.read_data)]
        m.d.comb += self.read_data.eq(delay(m, middle, READ_LATENCY - 3, "read_data"))

        columns_bits = (config.line_columns - 1).bit_length()
        granule = Signal()
        position = Signal(max(1, columns_bits))
        m.d.comb += [
            granule.eq(self.granule_valid.any()),
            self.write.ready.eq(~granule),
            position.eq(self.granule_addr[:columns_bits]),
        ]
        enable = Signal(config.line_columns)
        words = []
        for column in range(config.line_columns):
            first = self.granule_valid[0] & (position == column)
            second = self.granule_valid[1] & (position == column - 1) if column else 0
            m.d.comb += enable[column].eq(first | second)
            result = Mux(self.granule_addr[0] ^ (column & 1), self.granule_data1, self.granule_data0)
            words.append(Mux(granule, result, self.write.payload.data.word_select(column, config.p_i * 8)))
        m.d.sync += [
            lines.write_addr.eq(Mux(granule, self.granule_addr[columns_bits:], self.write.payload.line)),
            lines.write_data.eq(Cat(*words)),
            lines.write_en.eq(Mux(granule, enable,
                                  (self.write.valid & self.write.ready).replicate(config.line_columns))),
        ]
        return m
