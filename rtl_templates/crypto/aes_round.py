"""One pipelined round of the AES cipher."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl_templates.crypto.aes_steps import columns, mix_column, shift_rows, sub_columns


class AesRound(wiring.Component):
    """SubBytes, ShiftRows, MixColumns, AddRoundKey in two cycles, one block per cycle.

    The register behind the S-boxes also keeps them at 32 LUT6 each in Yosys.

    Args:
        inner: builds ``o``, the result of a round before the last.
        last: builds ``last_o``, the result of the cipher's last round, which has no MixColumns. With both, they share
            the S-boxes.

    Members:
        key, last_key: round keys, added in the second cycle.
        i, o, last_o: the state, byte k in bits 8k..8k+7.
    """

    def __init__(self, *, inner: bool = True, last: bool = False) -> None:
        self.inner = inner
        self.last = last
        members = {"i": In(128)}
        if inner:
            members |= {"key": In(128), "o": Out(128)}
        if last:
            members |= {"last_key": In(128), "last_o": Out(128)}
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        substituted = Signal(128)
        m.d.sync += substituted.eq(Cat(sub_columns(m, columns(self.i))))
        shifted = shift_rows(columns(substituted))
        if self.inner:
            mixed = Cat(mix_column(m, column, name=f"mix_{c}") for c, column in enumerate(shifted))
            m.d.sync += self.o.eq(mixed ^ self.key)
        if self.last:
            m.d.sync += self.last_o.eq(Cat(shifted) ^ self.last_key)
        return m
