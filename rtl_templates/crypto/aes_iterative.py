"""Small AES encryption (FIPS 197): one round per cycle, with its own key schedule."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl_templates.crypto.aes_steps import columns, mix_column, shift_rows, sub_byte, sub_columns
from rtl_templates.crypto.timing import rounds_of


class AesIterative(wiring.Component):
    """Encrypts one block in rounds + 2 cycles and shows the round keys as it goes.

    ``start`` is accepted while ``ready``; ``block`` is read in the following cycle, so it may be computed from the
    result of the block before, which stays on ``o`` until then.

    Args:
        key_bits: 128 or 256.

    Members:
        start: strobe.
        key: read with ``start``, byte k in bits 8k..8k+7.
        block: read in the cycle after ``start``.
        ready: the result of the last block is on ``o``.
        o: ciphertext.
        round_key_valid, round_key: strobe per round key, in order.

    Raises:
        ValueError: for another key size.
    """

    def __init__(self, *, key_bits: int = 128) -> None:
        self.key_bits = key_bits
        self.rounds = rounds_of(key_bits)
        super().__init__({
            "start": In(1),
            "key": In(key_bits),
            "block": In(128),
            "ready": Out(1, init=1),
            "o": Out(128),
            "round_key_valid": Out(1),
            "round_key": Out(128),
        })

    def _following(self, m: Module, window: Signal, rcon: Signal, odd: Signal) -> Value:
        """The four words of the key schedule after those in ``window`` (FIPS 197, section 5.2)."""
        words = [window[32 * i:32 * i + 32] for i in range(self.key_bits // 32)]
        substituted = Signal(32, name="schedule_sub")
        m.d.comb += substituted.eq(Cat(sub_byte(words[-1][8 * r:8 * r + 8]) for r in range(4)))
        rotated = substituted.rotate_right(8) ^ rcon
        result = []
        # with 256 bits, every other time neither rotated nor with a round constant
        previous: Value = rotated if self.key_bits == 128 else Mux(odd, substituted, rotated)
        for word in words[:4]:
            previous = previous ^ word
            result.append(previous)
        return Cat(result)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        window = Signal(self.key_bits)  # the present round key, and for 256 bits the next one
        rcon = Signal(8, init=1)
        odd = Signal()
        step = Signal(range(self.rounds + 1))
        state = self.o
        following = self._following(m, window, rcon, odd)

        shifted = shift_rows(sub_columns(m, columns(state)))
        mixed = Cat(mix_column(m, column, name=f"mix_{c}") for c, column in enumerate(shifted))
        first = Signal()  # only AddRoundKey
        last = Signal()  # no MixColumns
        middle = Signal()
        m.d.comb += [self.round_key.eq(window[:128]), self.round_key_valid.eq(~self.ready)]
        with m.If(self.ready), m.If(self.start):
            m.d.sync += [
                self.ready.eq(0), first.eq(1), last.eq(0), middle.eq(0), step.eq(0),
                window.eq(self.key), rcon.eq(1), odd.eq(0),
            ]
        with m.Else():
            m.d.sync += [
                state.eq((self.block & first.replicate(128)) ^ (Cat(shifted) & last.replicate(128))
                         ^ (mixed & middle.replicate(128)) ^ window[:128]),
                window.eq(Cat(window[128:], following)),
                first.eq(0),
                last.eq(step == self.rounds - 1),
                middle.eq(step != self.rounds - 1),
                step.eq(step + 1),
                odd.eq(~odd),
                self.ready.eq(last),
            ]
            with m.If(Const(self.key_bits == 128) | ~odd):
                m.d.sync += rcon.eq((rcon << 1) ^ Mux(rcon[7], 0x1B, 0))
        return m
