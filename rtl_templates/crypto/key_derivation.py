"""From master key and salt to what the segment units need: SP 800-108 key derivation, AES key schedule, hash keys.

    K = CMAC(master, [i]_32 || "hwgen-image" || 0x00 || salt || [bits]_32), i = 1 (and 2 for 256 bits)

(NIST SP 800-108, section 4.1, counter mode; CMAC-AES of SP 800-38B; numbers big-endian.)
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import enum, wiring
from amaranth.lib.wiring import In, Out

from rtl_templates.crypto.aes_iterative import AesIterative
from rtl_templates.crypto.gf128 import WIDTH, reduce, times_digit, to_block, to_poly
from rtl_templates.crypto.interfaces import H_POWERS
from rtl_templates.crypto.timing import rounds_of

LABEL = b"hwgen-image"
"""The SP 800-108 label of per-image keys."""
SPILL_LABEL = b"hwgen-spill"
"""... of the key of feature maps in the scratch buffer; as long, so that counter and label are one block."""

DIGIT = 8
"""Bits per cycle of the multiplier that makes the powers of H."""


class _Phase(enum.Enum, shape=3):
    IDLE = 0
    SUBKEY = 1  # CMAC subkey
    MAC_1 = 2
    MAC_2 = 3
    MAC_3 = 4
    HASH = 5  # key schedule and hash key of the image key
    POWERS = 6


def _block(value: bytes) -> Const:
    return Const(int.from_bytes(value, "little"), 128)


def _second_subkey(m: Module, block: Signal) -> Value:
    """CMAC's subkey K2, the encrypted zero block times x^2 (SP 800-38B, section 6.1); blocks are big-endian there."""
    number = Cat(block[8 * i:8 * i + 8] for i in reversed(range(16)))
    for power in (1, 2):
        doubled = Signal(128, name=f"subkey_{power}")
        m.d.comb += doubled.eq(Cat(Const(0, 1), number[:127]) ^ Mux(number[127], 0x87, 0))
        number = doubled
    return Cat(number[8 * i:8 * i + 8] for i in reversed(range(16)))


class KeyDerivation(wiring.Component):
    """Derives for one salt at a time, in ``latency`` cycles from ``start`` to ``valid``.

    Args:
        key_bits: 128 or 256.
        label: SP 800-108 label, 11 bytes.

    Members:
        start: strobe; ignored while ``busy``.
        master, salt, aad: static from ``start`` until ``valid``. ``aad`` is the block whose product with H is
            ``aad_base``.
        busy: a derivation is running.
        valid: the outputs are those of the last ``start``.
        round_keys, h_powers, aad_base: as on the key bus.

    Raises:
        ValueError: for another key size, or another length of the label.
    """

    def __init__(self, *, key_bits: int = 128, label: bytes = LABEL) -> None:
        if len(label) != len(LABEL):
            raise ValueError(f"label must have {len(LABEL)} bytes, not {len(label)}")
        self.key_bits, self.label = key_bits, label
        self.rounds = rounds_of(key_bits)
        super().__init__({
            "start": In(1),
            "master": In(key_bits),
            "salt": In(128),
            "aad": In(128),
            "busy": Out(1),
            "valid": Out(1),
            "round_keys": Out(128 * (self.rounds + 1)),
            "h_powers": Out(128 * H_POWERS),
            "aad_base": Out(128),
        })

    @property
    def latency(self) -> int:
        """Cycles from ``start`` to ``valid``."""
        blocks = 1 + 3 * (self.key_bits // 128) + 1
        return blocks * (self.rounds + 2) + H_POWERS * (WIDTH // DIGIT) + 1

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.aes = aes = AesIterative(key_bits=self.key_bits)
        phase = Signal(_Phase)
        subkey = Signal(128)
        second = Signal()  # second half of a 256-bit key
        half = Signal(128)

        prefix = self.label + b"\0"
        suffix = self.key_bits.to_bytes(4, "big") + b"\x80" + bytes(11)
        counter = [_block(i.to_bytes(4, "big") + prefix) for i in (1, 2)]
        m.d.comb += [
            self.busy.eq(phase != _Phase.IDLE),
            aes.key.eq(self.master),
        ]
        with m.Switch(phase):
            with m.Case(_Phase.MAC_1):
                m.d.comb += aes.block.eq(Mux(second, counter[1], counter[0]))
            with m.Case(_Phase.MAC_2):
                m.d.comb += aes.block.eq(aes.o ^ self.salt)
            with m.Case(_Phase.MAC_3):
                m.d.comb += aes.block.eq(aes.o ^ subkey ^ _block(suffix))

        # powers of H and aad * H, by a multiplier of DIGIT bits per cycle, highest coefficients first
        h = Signal(128)
        factor = Signal(128)
        partial = Signal(128)
        result = Signal(128)
        digits = Signal(range(WIDTH // DIGIT))
        products = Signal(range(H_POWERS))
        powers = Signal(128 * H_POWERS)
        base = Signal(128)
        m.d.comb += [
            result.eq(reduce(m, Cat(Const(0, DIGIT), partial) ^ times_digit(h, factor[-DIGIT:]))),
            self.h_powers.eq(Cat(to_block(powers[128 * i:128 * i + 128]) for i in range(H_POWERS))),
            self.aad_base.eq(to_block(base)),
        ]

        with m.Switch(phase):
            with m.Case(_Phase.IDLE), m.If(self.start):
                m.d.comb += aes.start.eq(1)
                m.d.sync += [phase.eq(_Phase.SUBKEY), self.valid.eq(0), second.eq(0)]
            with m.Case(_Phase.SUBKEY), m.If(aes.ready):
                m.d.comb += aes.start.eq(1)
                # the last block of the message is shorter than 16 bytes: second subkey
                m.d.sync += [subkey.eq(_second_subkey(m, aes.o)), phase.eq(_Phase.MAC_1)]
            with m.Case(_Phase.MAC_1), m.If(aes.ready):
                m.d.comb += aes.start.eq(1)
                m.d.sync += phase.eq(_Phase.MAC_2)
            with m.Case(_Phase.MAC_2), m.If(aes.ready):
                m.d.comb += aes.start.eq(1)
                m.d.sync += phase.eq(_Phase.MAC_3)
            with m.Case(_Phase.MAC_3), m.If(aes.ready):
                m.d.comb += aes.start.eq(1)
                if self.key_bits == 256:
                    m.d.sync += [half.eq(aes.o), second.eq(1)]
                    with m.If(second):
                        m.d.comb += aes.key.eq(Cat(half, aes.o))
                        m.d.sync += phase.eq(_Phase.HASH)
                    with m.Else():
                        m.d.sync += phase.eq(_Phase.MAC_1)
                else:
                    m.d.comb += aes.key.eq(aes.o)
                    m.d.sync += phase.eq(_Phase.HASH)
            with m.Case(_Phase.HASH):
                with m.If(aes.round_key_valid):
                    m.d.sync += self.round_keys.eq(Cat(self.round_keys[128:], aes.round_key))
                with m.If(aes.ready):
                    m.d.sync += [
                        h.eq(to_poly(aes.o)),
                        factor.eq(to_poly(aes.o)),
                        powers.eq(Cat(powers[128:], to_poly(aes.o))),
                        partial.eq(0),
                        digits.eq(0),
                        products.eq(0),
                        phase.eq(_Phase.POWERS),
                    ]
            with m.Case(_Phase.POWERS):
                m.d.sync += [
                    partial.eq(result),
                    factor.eq(factor << DIGIT),
                    digits.eq(digits + 1),
                ]
                with m.If(digits == WIDTH // DIGIT - 1):
                    m.d.sync += [partial.eq(0), factor.eq(result), products.eq(products + 1)]
                    with m.If(products == H_POWERS - 1):
                        m.d.sync += [base.eq(result), self.valid.eq(1), phase.eq(_Phase.IDLE)]
                    with m.Else():
                        m.d.sync += powers.eq(Cat(powers[128:], result))
                    with m.If(products == H_POWERS - 2):
                        m.d.sync += factor.eq(to_poly(self.aad))
        return m
