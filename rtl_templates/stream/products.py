"""The multipliers of one or two output channels, and what sums or compares without any."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwgen.config.accelerator import DspPacking
from hwgen.config.pipeline import StageKind
from hwgen.stream.layout import rows
from rtl_templates.engine.multiplier_chain import adder_tree, multiplier_chain


def columns_of(packing: DspPacking) -> int:
    """Output channels that share multipliers."""
    return 1 if packing is DspPacking.NONE else 2


def product_bits(simd: int) -> int:
    """Width of a sum of ``simd`` products of int8 values."""
    return 16 + (simd - 1).bit_length()


def value_bits(kind: StageKind, simd: int) -> int:
    """Width of a step's result: sum of products, sum or maximum of values."""
    return {StageKind.SUM: 8 + (simd - 1).bit_length(), StageKind.MAXIMUM: 8}.get(kind, product_bits(simd))


def part_name(kind: StageKind, simd: int, packing: DspPacking) -> str:
    """Verilog module of the part that does a step's work for ``columns_of`` channels."""
    return f"hwgen_products_{simd}x{columns_of(packing)}" if kind.weighted else f"hwgen_{kind.value}_{simd}"


def part_latency(kind: StageKind, simd: int, packing: DspPacking) -> int:
    """Cycles: input registers, chain of multipliers, tree."""
    if not kind.weighted:
        return 1 + (simd - 1).bit_length()
    places = rows(simd, packing)
    chains = 1 + max(row.chain for row in places)
    return 1 + (1 + max(row.position for row in places)) + 2 + (chains - 1).bit_length()


class Products(wiring.Component):
    """Sums of ``simd`` products, one per cycle, ``part_latency`` cycles from the row at position 0.

    Members:
        x: In(simd*8), values in the order of their numbers; weights: In, row after row (``hwgen.stream.layout.rows``),
            in a row column after column; both of a row at position k are k cycles later than those at position 0.
        sums: Out(columns*product_bits), signed.
    """

    def __init__(self, *, simd: int, packing: DspPacking) -> None:
        self.simd, self.packing = simd, packing
        self.columns = columns_of(packing)
        super().__init__({"x": In(simd * 8), "weights": In(simd * self.columns * 8),
                          "sums": Out(self.columns * product_bits(simd))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        places = rows(self.simd, self.packing)
        x, weights = Signal.like(self.x), Signal.like(self.weights)
        m.d.sync += [x.eq(self.x), weights.eq(self.weights)]
        terms: list[list[Signal]] = [[] for _ in range(self.columns)]
        for chain in range(1 + max(row.chain for row in places)):
            mine = [(index, row) for index, row in enumerate(places) if row.chain == chain]
            sums = multiplier_chain(
                m, [weights.word_select(index, 8 * self.columns) for index, _ in mine],
                [x.word_select(row.number, 8) for _, row in mine], self.packing, [str(row.number) for _, row in mine],
                tag=str(chain))
            for column, term in enumerate(sums):
                terms[column].append(term)
        width = product_bits(self.simd)
        for column, found in enumerate(terms):
            total, _ = adder_tree(m, found, width, f"tree_{column}")
            m.d.comb += self.sums.word_select(column, width).eq(total)
        return m


class Reduction(wiring.Component):
    """Sum or maximum of ``simd`` values, one per cycle, ``part_latency`` cycles.

    Members:
        x: In(simd*8), int8; result: Out(value_bits), signed.
    """

    def __init__(self, *, simd: int, kind: StageKind) -> None:
        self.simd, self.kind = simd, kind
        super().__init__({"x": In(simd * 8), "result": Out(value_bits(kind, simd))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        x = Signal.like(self.x)
        m.d.sync += x.eq(self.x)
        values = [x.word_select(n, 8).as_signed() for n in range(self.simd)]
        if self.kind is StageKind.SUM:
            total, _ = adder_tree(m, values, value_bits(self.kind, self.simd), "tree")
            m.d.comb += self.result.eq(total)
            return m
        level = 0
        while len(values) > 1:
            larger = []
            for i in range(0, len(values), 2):
                node = Signal(signed(8), name=f"larger_{level}_{i}")
                pair = values[i:i + 2]
                m.d.sync += node.eq(pair[0] if len(pair) == 1 else Mux(pair[0] > pair[1], pair[0], pair[1]))
                larger.append(node)
            values = larger
            level += 1
        m.d.comb += self.result.eq(values[0])
        return m
