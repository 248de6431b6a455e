"""One pipelined round of the AES cipher."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl_templates.crypto.aes_steps import columns, mix_column, shift_rows, sub_columns


class AesRound(wiring.Component):
    """SubBytes, ShiftRows, MixColumns, AddRoundKey in ``stages`` cycles, one block per cycle.

    Args:
        last: the last round of the cipher, without MixColumns.
        stages: 1, or 2 with a register behind the S-boxes as well.

    Members:
        key: round key, static while a block is inside.
        i, o: the state, byte k in bits 8k..8k+7.

    Raises:
        ValueError: for another number of stages.
    """

    def __init__(self, *, last: bool = False, stages: int = 2) -> None:
        if stages not in (1, 2):
            raise ValueError(f"stages must be 1 or 2, not {stages!r}")
        self.last = last
        self.stages = stages
        super().__init__({"key": In(128), "i": In(128), "o": Out(128)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        state = sub_columns(m, columns(self.i))
        if self.stages == 2:
            middle = Signal(128)
            m.d.sync += middle.eq(Cat(state))
            state = columns(middle)
        state = shift_rows(state)
        if not self.last:
            state = [mix_column(m, column, name=f"mix_{c}") for c, column in enumerate(state)]
        m.d.sync += self.o.eq(Cat(state) ^ self.key)
        return m
