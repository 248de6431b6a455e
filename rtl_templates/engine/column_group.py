"""A few columns of the weight-stationary array with their double-buffered weights."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwgen.config.accelerator import AcceleratorConfig, DspPacking
from rtl_templates.engine.multiplier_chain import adder_tree, multiplier_chain
from rtl_templates.engine.timing import reduction_levels


def sum_bits(config: AcceleratorConfig) -> int:
    """Width of a column sum: p_i products of int8 values."""
    return 16 + (config.p_i - 1).bit_length()


class ColumnGroup(wiring.Component):
    """``line_columns`` output channels times ``p_i`` rows.

    Row i belongs to position ``i % chain`` of its multiplier chain and takes all its inputs ``i % chain`` cycles late
    (the array skews them), so that a chain is a cascade of multiply-add registers. Of packed chains, the even column's
    borrow has been taken from the odd weight before (``Array``).

    Members:
        x: In(p_i*8), activations, row i delayed by its position.
        swap: In(chain), bit k: the weights loaded last become active at position k.
        line_enable: In(chain), bit k: take ``line`` at position k.
        line: In(line_columns*p_i*8), byte j·p_i + i for column j, row i; delayed like x.
        sums: Out(line_columns*sum_bits), signed column sums.
    """

    def __init__(self, *, config: AcceleratorConfig) -> None:
        self.config = config
        chain = config.packing.chain
        super().__init__({
            "x": In(config.p_i * 8),
            "swap": In(chain),
            "line_enable": In(chain),
            "line": In(config.line_bytes * 8),
            "sums": Out(config.line_columns * sum_bits(config)),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        chain, p_i = config.packing.chain, config.p_i
        chains = p_i // chain
        packed = config.packing is not DspPacking.NONE
        columns_per_multiplier = 2 if packed else 1
        swap = Signal(chain)
        x_register = Signal(p_i * 8)
        m.d.comb += swap.eq(self.swap)
        m.d.sync += x_register.eq(self.x)
        # partial[c][column]: chain sums, one signed signal per column
        column_terms: list[list[Signal]] = [[] for _ in range(config.line_columns)]
        for first in range(0, config.line_columns, columns_per_multiplier):
            for c in range(chains):
                weights, labels = [], []
                for k in range(chain):
                    row = c * chain + k
                    bits = 8 * columns_per_multiplier
                    shadow = Signal(bits, name=f"shadow_{first}_{row}")
                    active = Signal(bits, name=f"active_{first}_{row}")
                    line = Cat(*(self.line.word_select((first + j) * p_i + row, 8)
                                 for j in range(columns_per_multiplier)))
                    with m.If(self.line_enable[k]):
                        m.d.sync += shadow.eq(line)
                    with m.If(swap[k]):
                        m.d.sync += active.eq(shadow)
                    weights.append(active)
                    labels.append(f"{first}_{row}")
                x = [x_register.word_select(c * chain + k, 8) for k in range(chain)]
                for j, term in enumerate(multiplier_chain(m, weights, x, config.packing, labels, tag=f"{first}_{c}")):
                    column_terms[first + j].append(term)
        width = sum_bits(config)
        for column, terms in enumerate(column_terms):
            total, level = adder_tree(m, terms, width, f"tree_{column}")
            assert level == reduction_levels(config)
            m.d.comb += self.sums.word_select(column, width).eq(total)
        return m


__all__ = ["ColumnGroup", "sum_bits"]
