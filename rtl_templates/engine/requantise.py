"""One lane of the post-processor: bias, scale, residual, rounding shift, clamp."""

from amaranth.hdl import Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwgen.config.accelerator import AcceleratorConfig


class Requantise(wiring.Component):
    """y = clamp((acc·M + res·R + 2^(S-1)) >> S, lo, hi), ``timing.POST_PROCESS`` cycles, one result per cycle.

    Args:
        whole: with residual and raw output; without, neither their ports nor their logic exist.

    The constant is not added before the shift: with v = (sum >> (S-1)) arithmetic, (v + 1) >> 1 is the same number.

    Members:
        acc: In(signed acc_bits); bias: In(signed 32); multiplier: In(16); residual_multiplier: In(16), with acc.
        residual: In(signed 8), one cycle after acc.
        shift: In(6), S, 1..47, with acc.
        lo, hi: In(signed 8), ``timing.POST_PROCESS`` - 1 cycles after acc.
        raw: Out(signed 32), acc + bias, one cycle after acc.
        result: Out(signed 8).
    """

    def __init__(self, *, config: AcceleratorConfig, whole: bool = True) -> None:
        self.config, self.whole = config, whole
        super().__init__({
            "acc": In(signed(config.acc_bits)), "bias": In(signed(32)),
            "multiplier": In(16), "shift": In(6), "lo": In(signed(8)), "hi": In(signed(8)),
            "result": Out(signed(8)),
            **({"residual_multiplier": In(16), "residual": In(signed(8)), "raw": Out(signed(32))} if whole else {}),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        acc_bits = self.config.acc_bits
        # 1: bias (acc + bias is inside acc_bits by the compiler's proof); the raw output keeps 32 bits
        biased, m1 = Signal(signed(acc_bits)), Signal(16)
        m.d.sync += [biased.eq(self.acc + self.bias), m1.eq(self.multiplier)]
        # 2: products; 3: their sum
        product = Signal(signed(acc_bits + 17), attrs={"use_dsp": "yes"})
        total = Signal(signed(acc_bits + 18))
        m.d.sync += product.eq(biased * m1)
        if self.whole:
            raw, r1 = Signal(signed(32)), Signal(16)
            res_product = Signal(signed(25), attrs={"use_dsp": "yes"})
            residual = Signal(signed(8))
            m.d.comb += [self.raw.eq(raw), residual.eq(self.residual)]
            m.d.sync += [raw.eq(self.acc + self.bias), r1.eq(self.residual_multiplier),
                         res_product.eq(residual * r1), total.eq(product + res_product)]
        else:
            m.d.sync += total.eq(product)
        # 4..6: v = total >> (S-1), kept to 10 bits: 9 value bits and "everything above is the sign"
        shift = [self.shift - 1]
        for i in range(5):
            register = Signal(6, name=f"shift_{i}")
            m.d.sync += register.eq(shift[-1])
            shift.append(register)
        width = len(total)

        def shifted(value: Value, amounts: list[int], select: Value, keep: int, name: str) -> Signal:
            out = Signal(signed(keep), name=name)
            choice = value >> amounts[-1]
            for i in reversed(range(len(amounts) - 1)):
                choice = Mux(select == i, value >> amounts[i], choice)
            m.d.sync += out.eq(choice)
            return out

        fine = shifted(total, [0, 1, 2, 3], shift[3][0:2], width, "fine")
        middle = shifted(fine, [0, 4, 8, 12], shift[4][2:4], width, "middle")
        coarse = Signal(signed(10))
        amounts = [0, 16, 32]
        selected = shift[5][4:6]

        def saturated(value: Value) -> Value:
            """``value`` in 10 bits, ±511 when it does not fit."""
            above, sign = value[9:], value[-1]
            inside = Mux(sign, above.all(), ~above.any())
            return Mux(inside, value[:10].as_signed(), Mux(sign, Const(-511, signed(10)), Const(511, signed(10))))

        choices = [saturated(middle >> amount) for amount in amounts]
        m.d.sync += coarse.eq(Mux(selected == 0, choices[0], Mux(selected == 1, choices[1], choices[2])))
        # 7: round
        rounded = Signal(signed(10))
        m.d.sync += rounded.eq((coarse + 1) >> 1)
        # 8: clamp
        m.d.sync += self.result.eq(Mux(rounded < self.lo, self.lo, Mux(rounded > self.hi, self.hi, rounded)))
        return m
