"""Maximum or sum over the taps of a window, for all lanes of an output block."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwgen.config.accelerator import AcceleratorConfig

#: sums of up to 2^(POOL_BITS-8) taps
POOL_BITS = 20


class Pool(wiring.Component):
    """One tap per cycle; the result is there one cycle after the last tap.

    Members:
        valid, first, maximum: In; word: In(p_o*8), lanes of the tap.
        totals: Out(p_o*acc_bits).
    """

    def __init__(self, *, config: AcceleratorConfig) -> None:
        self.config = config
        super().__init__({
            "valid": In(1), "first": In(1), "maximum": In(1),
            "word": In(config.p_o * 8),
            "totals": Out(config.p_o * config.acc_bits),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        bits = min(POOL_BITS, config.acc_bits)
        lanes = []
        for lane in range(config.p_o):
            total = Signal(signed(bits), name=f"lane_{lane}")
            tap = self.word.word_select(lane, 8).as_signed()
            larger = Mux(tap > total[:8].as_signed(), tap, total[:8].as_signed())
            with m.If(self.valid):
                m.d.sync += total.eq(Mux(self.first, tap, Mux(self.maximum, larger, total + tap)))
            wide = Signal(signed(config.acc_bits), name=f"wide_{lane}")
            m.d.comb += wide.eq(total)
            lanes.append(wide)
        m.d.comb += self.totals.eq(Cat(*lanes))
        return m
