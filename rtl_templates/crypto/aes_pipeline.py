"""Fully unrolled, pipelined AES encryption (FIPS 197): one block per cycle."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl_templates.crypto.aes_round import AesRound
from rtl_templates.crypto.interfaces import rounds_of


class AesPipeline(wiring.Component):
    """Encrypts one block per cycle; it never stalls.

    ``o_valid`` and ``o`` follow ``i_valid`` and ``i`` by ``latency`` cycles: one for the first AddRoundKey, then
    ``stages`` per round. The key schedule is not part of it: round keys are static inputs.

    Args:
        key_bits: 128 or 256.
        stages: registers per round. 1: S-box, MixColumns and AddRoundKey between two registers. 2: a register after
            the S-boxes as well, which also keeps the S-boxes at 32 LUT6 each in Yosys.

    Members:
        round_keys: round key r in bits 128r..128r+127; must not change while a block is inside.
        i_valid, i: plaintext block, byte k in bits 8k..8k+7.
        o_valid, o: ciphertext block.

    Raises:
        ValueError: for another key size or number of stages.
    """

    def __init__(self, *, key_bits: int = 128, stages: int = 2) -> None:
        if stages not in (1, 2):
            raise ValueError(f"stages must be 1 or 2, not {stages!r}")
        self.key_bits = key_bits
        self.rounds = rounds_of(key_bits)
        self.stages = stages
        super().__init__({
            "round_keys": In(128 * (self.rounds + 1)),
            "i_valid": In(1),
            "i": In(128),
            "o_valid": Out(1),
            "o": Out(128),
        })

    @property
    def latency(self) -> int:
        """Cycles from ``i`` to ``o``."""
        return 1 + self.stages * self.rounds

    def elaborate(self, platform: object) -> Module:
        m = Module()
        whitened = Signal(128)
        valid = Signal(self.latency)
        m.d.sync += [
            whitened.eq(self.i ^ self.round_keys[:128]),
            valid.eq(Cat(self.i_valid, valid)),
        ]
        state = whitened
        for number in range(1, self.rounds + 1):
            stage = AesRound(last=number == self.rounds, stages=self.stages)
            m.submodules[f"round_{number}"] = stage
            m.d.comb += [
                stage.i.eq(state),
                stage.key.eq(self.round_keys[128 * number:128 * number + 128]),
            ]
            state = stage.o
        m.d.comb += [self.o.eq(state), self.o_valid.eq(valid[-1])]
        return m
