"""What a stage does in a step: ``simd`` values for each of ``pe`` output channels."""

from collections.abc import Callable

from amaranth.hdl import Cat, ClockSignal, Instance, Module, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.config.pipeline import StageConfig
from hwgen.stream.layout import rows, stage_packing, weight_bytes
from rtl_templates.engine.delay import delay
from rtl_templates.stream.products import Products, Reduction, columns_of, part_latency, part_name, value_bits


class StepArray(wiring.Component):
    """``latency`` cycles; a step in every cycle.

    Members:
        x: In, dense: ``simd`` values; per channel: ``simd`` values of the first channel, then of the second one ...
        weights: In, a word of weight memory, of which a row at position k comes k cycles later than ``x``.
        results: Out(pe*value_bits), signed.
    """

    def __init__(self, *, config: AcceleratorConfig, stage: StageConfig) -> None:
        self.stage = stage
        self.packing = stage_packing(stage, config.packing)
        self.bits = value_bits(stage.kind, stage.simd)
        values = stage.simd * (stage.pe if stage.kind.per_channel else 1)
        super().__init__({"x": In(values * 8), "weights": In(8 * weight_bytes(stage, config.packing)),
                          "results": Out(stage.pe * self.bits)})

    @property
    def latency(self) -> int:
        """Cycles from ``x`` to ``results``."""
        return part_latency(self.stage.kind, self.stage.simd, self.packing)

    def parts(self) -> dict[str, Callable[[], wiring.Component]]:
        """What is placed by name: how to make it."""
        kind, simd, packing = self.stage.kind, self.stage.simd, self.packing

        def make() -> wiring.Component:
            return Products(simd=simd, packing=packing) if kind.weighted else Reduction(simd=simd, kind=kind)

        return {part_name(kind, simd, packing): make}

    def elaborate(self, platform: object) -> Module:
        m = Module()
        stage, simd = self.stage, self.stage.simd
        per_channel = stage.kind.per_channel
        ports = {"i_clk": ClockSignal(), "i_rst": ResetSignal()}
        name = part_name(stage.kind, simd, self.packing)
        if not stage.kind.weighted:
            for channel in range(stage.pe):
                m.submodules[f"channel_{channel}"] = Instance(
                    name, **ports, i_x=self.x.word_select(channel, simd * 8),
                    o_result=self.results.word_select(channel, self.bits))
            return m
        # every value as late as its row's position
        places = rows(simd, self.packing)
        late = Signal.like(self.x)
        for channel in range(stage.pe if per_channel else 1):
            for row in places:
                at = channel * simd + row.number
                m.d.comb += late.word_select(at, 8).eq(
                    delay(m, self.x.word_select(at, 8), row.position, f"x_{channel}_{row.number}"))
        columns = columns_of(self.packing)
        units = -(-stage.pe // columns)
        out = []
        for unit in range(units):
            mine = Signal(simd * columns * 8, name=f"weights_{unit}")
            sums = Signal(columns * self.bits, name=f"sums_{unit}")
            m.d.comb += mine.eq(Cat(*(self.weights.word_select(row * units + unit, 8 * columns)
                                      for row in range(simd))))
            m.submodules[f"unit_{unit}"] = Instance(
                name, **ports, i_x=late.word_select(unit, simd * 8) if per_channel else late,
                i_weights=mine, o_sums=sums)
            out.append(sums)
        m.d.comb += self.results.eq(Cat(*out))
        return m
