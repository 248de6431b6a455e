"""Partial sums between the steps of an output block."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwgen.config.accelerator import AcceleratorConfig, RamStyle
from rtl_templates.engine.column_group import sum_bits
from rtl_templates.memory.ram import Ram


class Accumulator(wiring.Component):
    """acc[row] = (first ? 0 : acc[row]) + sums, for p_o columns; the sum leaves one cycle after the column sums.

    The same row may be visited again ``timing.ACCUMULATOR_REVISIT`` cycles later at the earliest. Overflow is
    impossible: the compiler proves acc_bits from the weights.

    Members:
        read_row: In, row of the pixel whose sums arrive two cycles later.
        sums: In(p_o*sum_bits); valid, first, row: In, with the sums.
        totals: Out(p_o*acc_bits), one cycle after the sums.
    """

    def __init__(self, *, config: AcceleratorConfig) -> None:
        self.config = config
        super().__init__({
            "read_row": In(range(config.acc_depth)),
            "sums": In(config.p_o * sum_bits(config)),
            "valid": In(1),
            "first": In(1),
            "row": In(range(config.acc_depth)),
            "totals": Out(config.p_o * config.acc_bits),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        m.submodules.rows = rows = Ram(width=config.p_o * config.acc_bits, depth=config.acc_depth, style=RamStyle.BLOCK)
        stored = Signal(config.p_o * config.acc_bits)
        m.d.comb += rows.read_addr.eq(self.read_row)
        m.d.sync += stored.eq(rows.read_data)
        first = Signal()
        m.d.comb += first.eq(self.first)
        totals = []
        for column in range(config.p_o):
            total = Signal(signed(config.acc_bits), name=f"total_{column}")
            before = stored.word_select(column, config.acc_bits).as_signed()
            m.d.sync += total.eq(self.sums.word_select(column, sum_bits(config)).as_signed() + Mux(first, 0, before))
            totals.append(total)
        row, valid = Signal.like(self.row), Signal()
        m.d.sync += [row.eq(self.row), valid.eq(self.valid)]
        m.d.comb += [
            self.totals.eq(Cat(*totals)),
            rows.write_addr.eq(row), rows.write_data.eq(self.totals), rows.write_en.eq(valid),
        ]
        return m
