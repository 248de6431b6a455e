"""GHASH against its definition, with gaps, and its zeroisation."""

import random

import pytest

from rtl_templates.crypto.ghash import LANES, Ghash
from tests.rtl_templates.crypto.crypto_model import hash_blocks, multiply, number
from tests.rtl_templates.shell.sim_helpers import simulate


def powers_of(h: bytes) -> int:
    powers = [h]
    while len(powers) < LANES:
        powers.append(multiply(powers[-1], h))
    return number(b"".join(powers))


async def feed(ctx, dut, message: bytes, gap: float, rng: random.Random):
    blocks = [message[i:i + 16] for i in range(0, len(message), 16)]
    for i, block in enumerate(blocks):
        while rng.random() < gap:
            ctx.set(dut.i_valid, 0)
            ctx.set(dut.i, number(rng.randbytes(16)))
            await ctx.tick()
        ctx.set(dut.i_valid, 1)
        ctx.set(dut.i, number(block))
        ctx.set(dut.i_first, i == 0)
        ctx.set(dut.i_left, min(len(blocks) - 1 - i, LANES))
        await ctx.tick()
    ctx.set(dut.i_valid, 0)


def run(dut, h: bytes, messages: list[bytes], gap: float = 0.0) -> list[bytes]:
    hashes: list[bytes] = []

    async def source(ctx):
        ctx.set(dut.h_powers, powers_of(h))
        for message in messages:
            await feed(ctx, dut, message, gap, random.Random(len(message)))

    async def sink(ctx):
        while len(hashes) < len(messages):
            await ctx.tick()
            if ctx.get(dut.o_valid):
                hashes.append(ctx.get(dut.o).to_bytes(16, "little"))

    simulate(dut, source, sink)
    return hashes


def test_published():
    """Test case 2 of the GCM specification: H of the zero key, one block of ciphertext, length block."""
    h = bytes.fromhex("66e94bd4ef8a2c3b884cfa59ca342b2e")
    message = bytes.fromhex("0388dace60b6a392f328c2b971b2fe78") + bytes(8) + (128).to_bytes(8, "big")
    assert run(Ghash(), h, [message])[0].hex() == "f38cbb1ad69223dcc3457ae5b6b0f885"


@pytest.mark.parametrize(("gap", "levels"), [(0.0, 3), (0.5, 4)])
def test_messages_back_to_back(gap, levels):
    rng = random.Random(7)
    h = rng.randbytes(16)
    messages = [rng.randbytes(16 * n) for n in (1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 1, 13, 4)]
    assert run(Ghash(levels=levels), h, messages, gap) == [hash_blocks(h, m) for m in messages]


def test_latency():
    dut = Ghash()

    async def testbench(ctx):
        await feed(ctx, dut, bytes(16), 0.0, random.Random(1))
        for _ in range(dut.latency - 1):
            assert not ctx.get(dut.o_valid)
            await ctx.tick()
        assert ctx.get(dut.o_valid)

    simulate(dut, testbench)


def test_clear():
    """In the middle of a message: nothing is left, and the next message is not disturbed."""
    dut, rng = Ghash(), random.Random(8)
    h, message = rng.randbytes(16), rng.randbytes(16 * 6)

    async def testbench(ctx):
        ctx.set(dut.h_powers, powers_of(h))
        await feed(ctx, dut, rng.randbytes(16 * 20), 0.0, rng)
        await ctx.tick().repeat(4)
        assert any(ctx.get(dut.lanes.data[i]) for i in range(LANES))
        ctx.set(dut.clear, 1)
        await ctx.tick().repeat(4)
        ctx.set(dut.clear, 0)
        assert not any(ctx.get(dut.lanes.data[i]) for i in range(LANES))
        assert ctx.get(dut.o) == 0
        await feed(ctx, dut, message, 0.0, rng)
        await ctx.tick().until(dut.o_valid)
        assert ctx.get(dut.o).to_bytes(16, "little") == hash_blocks(h, message)

    simulate(dut, testbench)
