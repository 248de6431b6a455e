"""Pipelined AES encryption (FIPS 197), unrolled as far as its rate asks for."""

import itertools

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl_templates.crypto.aes_round import AesRound
from rtl_templates.crypto.timing import cipher_slots, rounds_of, unrolled_rounds


class AesPipeline(wiring.Component):
    """Encrypts one block every ``cycles`` cycles on average; blocks leave in order, ``latency`` cycles after they came.

    ``unrolled`` rounds stand in a ring of ``slots`` registers, through which a block goes ``cycles`` times, each time
    with other round keys. Every slot holds a block of its own, so all rounds are at work in every cycle. A slot that
    comes back with an unfinished block is not free for a new one. The last round leaves the ring behind the S-boxes of
    its place. With ``cycles`` = 1 every round is there and nothing comes back: a pipeline that never stalls. The key
    schedule is not part of it: round keys are static inputs.

    Args:
        key_bits: 128 or 256.
        cycles: see ``unrolled_rounds``.

    Members:
        round_keys: round key r in bits 128r..128r+127; must not change while a block is inside.
        i_valid, i_ready, i: plaintext block, byte k in bits 8k..8k+7.
        o_valid, o: ciphertext block.

    Raises:
        ValueError: for another key size or an impossible number of cycles.
    """

    def __init__(self, *, key_bits: int = 128, cycles: int = 1) -> None:
        self.key_bits = key_bits
        self.rounds = rounds_of(key_bits)
        self.cycles = cycles
        self.unrolled = unrolled_rounds(key_bits, cycles)
        super().__init__({
            "round_keys": In(128 * (self.rounds + 1)),
            "i_valid": In(1),
            "i_ready": Out(1),
            "i": In(128),
            "o_valid": Out(1),
            "o": Out(128),
        })

    @property
    def slots(self) -> int:
        """Blocks that can be inside."""
        return cipher_slots(self.key_bits, self.cycles)

    @property
    def latency(self) -> int:
        """Cycles from ``i`` to ``o``."""
        return (self.cycles - 1) * self.slots + 1 + 2 * (self._exit + 1)

    @property
    def _exit(self) -> int:
        """Place of the cipher's last round in the ring."""
        return (self.rounds - 1) % self.unrolled

    def elaborate(self, platform: object) -> Module:
        m = Module()
        keys = [self.round_keys[128 * r:128 * r + 128] for r in range(self.rounds + 1)]
        # whether a slot holds a block, and how often that has come back
        valid = Signal(self.slots)
        turns = [Signal(range(self.cycles), name=f"turn_{s}") for s in range(self.slots)]
        final = self.cycles - 1
        back = Signal()
        entered = Signal(128)
        m.d.comb += [
            back.eq(valid[-1] & (turns[-1] != final)),
            self.i_ready.eq(~back),
        ]
        m.d.sync += valid.eq(Cat(self.i_valid | back, valid))
        m.d.sync += [turn.eq(before) for before, turn in itertools.pairwise(turns)]
        state = entered
        for place in range(self.unrolled):
            last = place == self._exit
            number = f"round_{place + 1}"
            m.submodules[number] = stage = AesRound(inner=self.cycles > 1 or not last, last=last)
            m.d.comb += stage.i.eq(state)
            if last:
                m.d.comb += [stage.last_key.eq(keys[-1]), self.o.eq(stage.last_o)]
                m.d.sync += self.o_valid.eq(valid[2 * place + 1] & (turns[2 * place + 1] == final))
            if stage.inner:
                own = keys[place + 1:-1:self.unrolled]
                if len(own) == 1:
                    m.d.comb += stage.key.eq(own[0])
                else:  # registered, as the choice goes to all bits
                    chosen = Signal(128, name=f"key_{place + 1}")
                    m.d.sync += chosen.eq(Array(own)[turns[2 * place]])
                    m.d.comb += stage.key.eq(chosen)
                state = stage.o
        fresh = self.i ^ keys[0]
        m.d.sync += [
            entered.eq(Mux(back, state, fresh) if self.cycles > 1 else fresh),
            turns[0].eq(Mux(back, turns[-1] + 1, 0)),
        ]
        return m
