"""``KeyManager`` against the software's key derivation, and the life of a key in it."""

import random

import pytest

from hwgen.seal import Key, derive_image_key
from rtl_templates.crypto.key_manager import KeyManager
from tests.rtl_templates.crypto.crypto_model import key_bus, number
from tests.rtl_templates.crypto.waveform import final_values
from tests.rtl_templates.shell.sim_helpers import simulate

SALT, ID, VERSION = bytes(range(50, 66)), b"image id", 3


async def strobe(ctx, port):
    ctx.set(port, 1)
    await ctx.tick()
    ctx.set(port, 0)


async def write_key(ctx, dut, key: Key, words=None):
    for index, word in enumerate(key.words() if words is None else words):
        ctx.set(dut.key_write.payload, {"index": index, "data": word})
        await strobe(ctx, dut.key_write.valid)


async def load_key(ctx, dut, key: Key):
    await write_key(ctx, dut, key)
    await strobe(ctx, dut.key_commit)


async def start(ctx, dut, salt: bytes = SALT, image_id: bytes = ID, version: int = VERSION) -> int:
    """Cycles until the keys are valid; -1 if nothing is derived."""
    ctx.set(dut.salt, number(salt))
    ctx.set(dut.image_id, number(image_id))
    ctx.set(dut.version, version)
    await strobe(ctx, dut.start)
    cycles = 1
    while not ctx.get(dut.keys.valid):
        if not ctx.get(dut.busy):
            return -1
        await ctx.tick()
        cycles += 1
    return cycles


def check(ctx, dut, master: Key, salt: bytes = SALT, *, image_id: bytes = ID, version: int = VERSION):
    expected = key_bus(derive_image_key(master, salt).reveal(), image_id, version)
    assert {name: ctx.get(getattr(dut.keys, name)) for name in expected} == expected


def outputs_are_zero(ctx, dut) -> bool:
    ports = [dut.busy, dut.keys.valid, *(getattr(dut.keys, name) for name in key_bus(bytes(16)))]
    return not any(ctx.get(port) for port in ports)


@pytest.mark.parametrize("bits", [128, 256])
def test_derivation(bits):
    rng = random.Random(bits)
    dut = KeyManager(key_bits=bits)
    assert dut.latency < 250
    keys = [Key(rng.randbytes(bits // 8)) for _ in range(2)]

    async def testbench(ctx):
        for key in keys:
            await load_key(ctx, dut, key)
            assert await start(ctx, dut) == dut.latency
            check(ctx, dut, key)
            salt = rng.randbytes(16)
            assert await start(ctx, dut, salt) == dut.latency
            check(ctx, dut, key, salt)
            assert await start(ctx, dut, salt, b"other id", 9) == dut.latency
            check(ctx, dut, key, salt, image_id=b"other id", version=9)

    simulate(dut, testbench)


def test_same_image_again_is_ready_at_once():
    dut, key = KeyManager(), Key(bytes(range(16)))

    async def testbench(ctx):
        await load_key(ctx, dut, key)
        await start(ctx, dut)
        for _ in range(2):
            assert await start(ctx, dut) == 1
            check(ctx, dut, key)
        # a new master key, even an equal one, is a new start
        await load_key(ctx, dut, key)
        assert await start(ctx, dut) == dut.latency

    simulate(dut, testbench)


def test_no_key():
    """Nothing starts without a whole committed key, and the caller is told."""
    dut, key = KeyManager(), Key(bytes(range(16)))

    async def testbench(ctx):
        for words in ([], key.words(), key.words()[:3]):
            await write_key(ctx, dut, key, words)
            if len(words) == 3:
                await strobe(ctx, dut.zeroise)
                await write_key(ctx, dut, key, words)
                await strobe(ctx, dut.key_commit)  # a word is missing
            assert not ctx.get(dut.key_loaded)
            await strobe(ctx, dut.start)
            assert ctx.get(dut.no_key) and not ctx.get(dut.busy)
            await ctx.tick()
            assert not ctx.get(dut.no_key)

    simulate(dut, testbench)


def test_writing_drops_the_old_key():
    """From the first word of a new key on, nothing of the old one can be used."""
    dut, key = KeyManager(), Key(bytes(range(16)))

    async def testbench(ctx):
        await load_key(ctx, dut, key)
        await start(ctx, dut)
        await write_key(ctx, dut, key, [0x1234])
        assert outputs_are_zero(ctx, dut) and not ctx.get(dut.key_loaded)
        await strobe(ctx, dut.key_commit)
        assert await start(ctx, dut) == -1

    simulate(dut, testbench)


def test_lock():
    """No key can be written or committed any more; derivation and zeroise still work."""
    dut, key = KeyManager(), Key(bytes(range(16)))

    async def testbench(ctx):
        await load_key(ctx, dut, key)
        await strobe(ctx, dut.lock)
        assert ctx.get(dut.locked)
        await load_key(ctx, dut, Key(bytes(16)))
        await start(ctx, dut)
        check(ctx, dut, key)
        await strobe(ctx, dut.zeroise)
        assert outputs_are_zero(ctx, dut) and ctx.get(dut.locked)
        await load_key(ctx, dut, key)
        assert not ctx.get(dut.key_loaded)
        assert await start(ctx, dut) == -1

    simulate(dut, testbench)


@pytest.mark.parametrize("bits", [128, 256])
@pytest.mark.parametrize("after", [1, 20, 60, 100, 250])
def test_zeroise_leaves_nothing(bits, after, tmp_path):
    """``after`` cycles into a derivation: one cycle later every signal is the same whatever the key and salt were."""
    rng = random.Random(4)
    left = []
    for run in range(2):
        dut = KeyManager(key_bits=bits)
        key, salt = Key(rng.randbytes(bits // 8)), rng.randbytes(16)

        async def testbench(ctx, dut=dut, key=key, salt=salt):
            await load_key(ctx, dut, key)
            ctx.set(dut.salt, number(salt))
            await strobe(ctx, dut.start)
            await ctx.tick().repeat(after)
            ctx.set(dut.salt, 0)
            ctx.set(dut.key_write.payload, {})
            await strobe(ctx, dut.zeroise)
            assert outputs_are_zero(ctx, dut)

        left.append(final_values(dut, testbench, tmp_path / f"{run}.vcd"))
    assert len(left[0]) > 80
    assert left[0] == left[1]
