"""From the results of steps to pixels: sums, requantisation, words."""

from collections.abc import Callable

from amaranth.hdl import ClockSignal, Instance, Module, Mux, ResetSignal, Signal, signed
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.config.pipeline import StageConfig, StageKind
from hwgen.stream.layout import RECORD_FIELDS
from rtl_templates.engine.delay import delay
from rtl_templates.engine.requantise import Requantise
from rtl_templates.engine.timing import POST_PROCESS
from rtl_templates.stream.products import value_bits
from rtl_templates.stream.timing import RECORD, group_latency

RECORD_BITS = sum(width for _, width in RECORD_FIELDS)


def pixel_bits(stage: StageConfig) -> int:
    """Width of a pixel of the stage's results."""
    return stage.out_channels * (32 if stage.raw else 8)


class Results(wiring.Component):
    """Takes a block of ``pe`` results per cycle; the sums of a block leave in groups of ``lanes``.

    Members:
        valid, first, last: In(1), results of a step; they begin, end a sum. block: In, which channels.
        results: In(pe*value_bits).
        record: Out, number of a group; records: In(lanes*RECORD_BITS), of that group, a cycle later.
        residual: In(stream of pixels), read when its channels are needed; it must be there by then.
        pixel: Out, pixel_valid: Out(1), never stalled.
    """

    def __init__(self, *, config: AcceleratorConfig, stage: StageConfig) -> None:
        self.config, self.stage = config, stage
        self.bits = value_bits(stage.kind, stage.simd)
        super().__init__({
            "valid": In(1), "first": In(1), "last": In(1), "block": In(range(max(2, stage.blocks))),
            "results": In(stage.pe * self.bits),
            "record": Out(range(max(2, stage.blocks * stage.groups))), "records": In(stage.lanes * RECORD_BITS),
            "pixel": Out(pixel_bits(stage)), "pixel_valid": Out(1),
            **({"residual": In(stream.Signature(stage.out_channels * 8))} if stage.residual else {}),
        })

    @property
    def lane_name(self) -> str:
        """Verilog module of a requantisation lane."""
        return "hwgen_stream_residual_lane" if self.stage.residual else "hwgen_stream_lane"

    def parts(self) -> dict[str, Callable[[], wiring.Component]]:
        """What is placed by name: how to make it."""
        if self.stage.raw or self.stage.kind is StageKind.MAXIMUM:
            return {}
        return {self.lane_name: lambda: Requantise(config=self.config, whole=bool(self.stage.residual))}

    def elaborate(self, platform: object) -> Module:
        m = Module()
        stage, maximum = self.stage, self.stage.kind is StageKind.MAXIMUM
        width = 8 if maximum else self.config.acc_bits
        lanes, groups = stage.lanes, stage.groups

        # ---- sums; of a window in one register per channel, of a whole map one per channel and block
        before, totals = Signal(stage.pe * width), Signal(stage.pe * width)
        if stage.whole and stage.blocks > 1:
            sums = memory.Memory(shape=stage.pe * width, depth=stage.blocks, init=[],
                                 attrs={"ram_style": "distributed"})
            m.submodules.sums = sums
            write, read = sums.write_port(), sums.read_port(domain="comb")
            m.d.comb += [read.addr.eq(self.block), before.eq(read.data), write.addr.eq(self.block),
                         write.data.eq(totals), write.en.eq(self.valid)]
        else:
            with m.If(self.valid):
                m.d.sync += before.eq(totals)
        for channel in range(stage.pe):
            new = self.results.word_select(channel, self.bits).as_signed()
            old = before.word_select(channel, width).as_signed()
            both = Mux(new > old, new, old) if maximum else new + old
            m.d.comb += totals.word_select(channel, width).eq(Mux(self.first, new, both))

        # ---- groups
        waiting, left, group = Signal(stage.pe * width), Signal(range(groups + 1)), self.record
        use = Signal()
        m.d.comb += use.eq(left != 0)
        with m.If(use):
            m.d.sync += [waiting.eq(waiting[lanes * width:]), left.eq(left - 1),
                         group.eq(Mux(group == stage.blocks * groups - 1, 0, group + 1))]
        with m.If(self.valid & self.last):
            m.d.sync += [waiting.eq(totals), left.eq(groups)]

        results = self._lanes(m, waiting[:lanes * width], use, width)

        # ---- words
        latency = group_latency(stage)
        use_out, group_out = delay(m, use, latency, "use"), delay(m, group, latency, "group")
        size = len(results)
        with m.If(use_out), m.Switch(group_out):
            for number in range(stage.blocks * groups):
                part = self.pixel[number * size:(number + 1) * size]
                if len(part):
                    with m.Case(number):
                        m.d.sync += part.eq(results)
        m.d.sync += self.pixel_valid.eq(use_out & (group_out == stage.blocks * groups - 1))
        return m

    def _lanes(self, m: Module, sums: Signal, use: Signal, width: int) -> Signal:
        """Results of a group, ``group_latency`` cycles later."""
        stage, lanes = self.stage, self.stage.lanes
        taken = Signal(len(sums))
        m.d.sync += taken.eq(sums)
        if self.stage.kind is StageKind.MAXIMUM:
            return taken
        acc = delay(m, taken, RECORD - 1, "acc")
        records = Signal(len(self.records))
        m.d.sync += records.eq(self.records)
        starts = [sum(w for _, w in RECORD_FIELDS[:n]) for n in range(len(RECORD_FIELDS))]

        def field(lane: int, number: int) -> Signal:
            at = lane * RECORD_BITS + starts[number]
            return records[at:at + RECORD_FIELDS[number][1]]

        if stage.raw:
            raw = Signal(lanes * 32)
            for lane in range(lanes):
                total = acc.word_select(lane, width).as_signed() + field(lane, 0).as_signed()
                m.d.sync += raw.word_select(lane, 32).eq(total)
            return raw
        results = Signal(lanes * 8)
        residual = Signal(lanes * 8)
        if stage.residual:
            chosen = Signal(lanes * 8)
            with m.Switch(self.record):
                for number in range(stage.blocks * stage.groups):
                    with m.Case(number):
                        m.d.sync += chosen.eq(self.residual.payload[number * lanes * 8:(number + 1) * lanes * 8])
            m.d.comb += [
                residual.eq(delay(m, chosen, RECORD, "residual")),
                self.residual.ready.eq(use & (self.record == stage.blocks * stage.groups - 1)),
            ]
        for lane in range(lanes):
            extra = {"i_residual": residual.word_select(lane, 8).as_signed(),
                     "i_residual_multiplier": field(lane, 2)} if stage.residual else {}
            out = Signal(signed(8), name=f"result_{lane}")
            lo, hi = (delay(m, field(lane, number), POST_PROCESS - 1, f"{name}_{lane}")
                      for number, name in ((4, "lo"), (5, "hi")))
            m.submodules[f"lane_{lane}"] = Instance(
                self.lane_name, i_clk=ClockSignal(), i_rst=ResetSignal(),
                i_acc=acc.word_select(lane, width), i_bias=field(lane, 0), i_multiplier=field(lane, 1),
                i_shift=field(lane, 3), i_lo=lo, i_hi=hi, o_result=out, **extra)
            m.d.comb += results.word_select(lane, 8).eq(out)
        return results
