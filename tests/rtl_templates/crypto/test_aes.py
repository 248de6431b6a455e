"""Both AES units against FIPS 197 and pycryptodome."""

import gc
import random
import re

import pytest

from hwgen.config.accelerator import aes_cycles
from rtl_templates.crypto.aes_iterative import AesIterative
from rtl_templates.crypto.aes_pipeline import AesPipeline
from rtl_templates.crypto.aes_tables import SBOX as TABLE
from tests.rtl_templates.crypto.crypto_model import SBOX, encrypt, expand_key, number
from tests.rtl_templates.shell.sim_helpers import simulate

PLAIN = bytes.fromhex("00112233445566778899aabbccddeeff")
FIPS_197 = {  # appendices C.1 and C.3
    128: (bytes(range(16)), bytes.fromhex("69c4e0d86a7b0430d8cdb78070b4c55a")),
    256: (bytes(range(32)), bytes.fromhex("8ea2b7ca516745bfeafc49904b496089")),
}
FIPS_197_LAST_ROUND_KEY = {  # appendices A.1 and A.3
    128: ("2b7e151628aed2a6abf7158809cf4f3c", "d014f9a8c9ee2589e13f0cc8b6630ca6"),
    256: ("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4", "fe4890d1e6188d0b046df344706c631e"),
}


def test_sbox():
    assert list(TABLE) == SBOX
    assert (TABLE[0x00], TABLE[0x53], TABLE[0xFF]) == (0x63, 0xED, 0x16)  # FIPS 197, section 5.1.1 and figure 7


@pytest.mark.parametrize("bits", [128, 256])
def test_model_key_schedule(bits):
    key, last = FIPS_197_LAST_ROUND_KEY[bits]
    assert expand_key(bytes.fromhex(key))[-16:].hex() == last


UNITS = [(bits, cycles) for bits in (128, 256) for cycles in aes_cycles(bits)]


@pytest.mark.parametrize(("bits", "cycles"), UNITS)
@pytest.mark.parametrize("offered", [0.3, 1.0])
def test_pipeline(bits, cycles, offered):
    """Blocks at random or always: none is lost or overtaken, each leaves by the stated latency; at the stated rate."""
    dut, rng = AesPipeline(key_bits=bits, cycles=cycles), random.Random(5)
    key, expected = FIPS_197[bits]
    blocks = [PLAIN] + [rng.randbytes(16) for _ in range(4 * dut.slots)]
    entered, left, received = [], [], []

    async def testbench(ctx):
        ctx.set(dut.round_keys, number(expand_key(key)))
        for cycle in range(10000):
            if ctx.get(dut.o_valid):
                left.append(cycle)
                received.append(ctx.get(dut.o).to_bytes(16, "little"))
            if len(left) == len(blocks):
                break
            offer = len(entered) < len(blocks) and rng.random() < offered
            ctx.set(dut.i_valid, offer)
            ctx.set(dut.i, number(blocks[len(entered)] if offer else rng.randbytes(16)))
            if offer and ctx.get(dut.i_ready):
                entered.append(cycle)
            await ctx.tick()

    simulate(dut, testbench)
    assert received == [encrypt(key, b) for b in blocks]
    assert received[0] == expected
    assert [after - before for before, after in zip(entered, left, strict=True)] == [dut.latency] * len(blocks)
    if offered == 1.0:  # the slots are filled one after the other, and again when their blocks have left
        assert [entered[i] for i in range(0, len(blocks), dut.slots)] == \
            [i * cycles * dut.slots for i in range(5)]


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
def test_impossible_cycles():
    with pytest.raises(ValueError, match=re.escape("cycles per block must be one of (1, 2, 3, 4, 5, 10), not 6")):
        AesPipeline(cycles=6)
    gc.collect()  # Amaranth complains here, where it is expected, about the unfinished component


@pytest.mark.parametrize("bits", [128, 256])
def test_iterative(bits):
    """Blocks back to back, round keys on the way, latency as stated."""
    dut, rng = AesIterative(key_bits=bits), random.Random(6)
    jobs = [(FIPS_197[bits][0], PLAIN)] + [(rng.randbytes(bits // 8), rng.randbytes(16)) for _ in range(3)]

    async def testbench(ctx):
        for key, block in jobs:
            ctx.set(dut.key, number(key))
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            ctx.set(dut.key, 0)
            ctx.set(dut.block, number(block))
            keys, cycles = b"", 1
            while not ctx.get(dut.ready):
                if ctx.get(dut.round_key_valid):
                    keys += ctx.get(dut.round_key).to_bytes(16, "little")
                await ctx.tick()
                ctx.set(dut.block, 0)
                cycles += 1
            assert keys == expand_key(key)
            assert ctx.get(dut.o).to_bytes(16, "little") == encrypt(key, block)
            assert cycles == dut.rounds + 2
        assert encrypt(*jobs[0]) == FIPS_197[bits][1]

    simulate(dut, testbench)


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
@pytest.mark.parametrize("unit", [AesPipeline, AesIterative])
def test_wrong_key_size(unit):
    with pytest.raises(ValueError, match="key_bits must be 128 or 256, not 192"):
        unit(key_bits=192)
    gc.collect()  # Amaranth complains here, where it is expected, about the unfinished component
