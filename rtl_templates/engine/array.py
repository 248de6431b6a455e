"""The array: row skew, weight-line preparation, and one ``ColumnGroup`` instance per line of a tile."""

from amaranth.hdl import Cat, ClockSignal, Instance, Module, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwgen.config.accelerator import AcceleratorConfig, DspPacking
from rtl_templates.engine.column_group import ColumnGroup, sum_bits
from rtl_templates.engine.delay import delay

COLUMN_GROUP = "hwgen_column_group"


class Array(wiring.Component):
    """p_i × p_o multipliers as p_o/line_columns instances of one Verilog module (``COLUMN_GROUP``).

    Amaranth writes one module per instance, so the repeated part is converted once (``submodules``) and placed by name.

    Members:
        x_left, x_right: In(p_i*8), activations for the lower and the upper half of the columns.
        swap: In(1), with the first activation of a step: the loaded tile becomes active.
        line_valid: In(1); line: In(line_bytes*8); line_index: In(8): a line of the next tile.
        line_pair: In(1): lines fill both halves (PAIR).
        sums: Out(p_o*sum_bits), chain+3+tree levels cycles after x.
    """

    def __init__(self, *, config: AcceleratorConfig) -> None:
        self.config = config
        super().__init__({
            "x_left": In(config.p_i * 8),
            "x_right": In(config.p_i * 8),
            "swap": In(1),
            "line_valid": In(1),
            "line": In(config.line_bytes * 8),
            "line_index": In(8),
            "line_pair": In(1),
            "sums": Out(config.p_o * sum_bits(config)),
        })

    def submodules(self) -> dict[str, wiring.Component]:
        """Components to be converted to Verilog beside this one, by module name."""
        return {COLUMN_GROUP: ColumnGroup(config=self.config)}

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        chain, p_i = config.packing.chain, config.p_i
        groups = config.p_o // config.line_columns
        half = groups // 2

        def skew_rows(word: Signal, name: str) -> Cat:
            """Delay byte i of every p_i-byte column by the chain position of row i."""
            columns = len(word) // (p_i * 8)
            by_position = [
                delay(m, Cat(*(word.word_select(j * p_i + row, 8) for j in range(columns)
                               for row in range(k, p_i, chain))), k, f"{name}_{k}")
                for k in range(chain)]
            rows = p_i // chain
            return Cat(*(by_position[row % chain].word_select(j * rows + row // chain, 8)
                         for j in range(columns) for row in range(p_i)))

        x_left, x_right = Signal(p_i * 8), Signal(p_i * 8)
        m.d.comb += [x_left.eq(skew_rows(self.x_left, "left")), x_right.eq(skew_rows(self.x_right, "right"))]
        swap = Cat(*(delay(m, self.swap, k, f"swap_{k}") for k in range(chain)))

        # register the line and take the even column's borrow from the odd column (packing), one cycle before the arrays
        line = Signal(config.line_bytes * 8)
        if config.packing is DspPacking.NONE:
            m.d.sync += line.eq(self.line)
        else:
            for pair in range(config.line_columns // 2):
                for row in range(p_i):
                    even = self.line.word_select(2 * pair * p_i + row, 8)
                    odd = self.line.word_select((2 * pair + 1) * p_i + row, 8)
                    m.d.sync += [
                        line.word_select(2 * pair * p_i + row, 8).eq(even),
                        line.word_select((2 * pair + 1) * p_i + row, 8).eq(odd - even[7]),
                    ]
        line_skewed = Signal(config.line_bytes * 8)
        m.d.comb += line_skewed.eq(skew_rows(line, "line"))

        width = config.line_columns * sum_bits(config)
        for g in range(groups):
            enable = Signal(name=f"enable_{g}")
            hit = self.line_index == g
            if config.pair_mode and g >= half:
                hit |= self.line_pair & (self.line_index == g - half)
            m.d.sync += enable.eq(self.line_valid & hit)
            enables = Signal(chain, name=f"enables_{g}")
            m.d.comb += enables.eq(Cat(*(delay(m, enable, k, f"enable_{g}_{k}") for k in range(chain))))
            m.submodules[f"columns_{g}"] = Instance(
                COLUMN_GROUP,
                i_clk=ClockSignal(), i_rst=ResetSignal(),
                i_x=x_right if g >= half else x_left,
                i_swap=swap,
                i_line_enable=enables,
                i_line=line_skewed,
                o_sums=self.sums.word_select(g, width),
            )
        return m
