"""The units that encrypt feature maps, against pycryptodome: rows and tags, back again, other frames and places."""

import random

import pytest
from amaranth.lib import wiring

from hwgen.errors import HwgenError
from hwgen.seal import Key, derive_spill_key, open_row, seal_row
from rtl_templates.crypto.gcm_stream import GcmStream
from rtl_templates.crypto.interfaces import ROW_FLAGS, PlainBeat
from rtl_templates.crypto.key_manager import BOOT_SALT, KeyManager
from rtl_templates.crypto.segment_bypass import SegmentBypass
from tests.rtl_templates.crypto.crypto_model import beats, key_bus, number
from tests.rtl_templates.crypto.segment_streams import Sealed, Segment, send_one
from tests.rtl_templates.crypto.test_key_manager import strobe, write_key
from tests.rtl_templates.shell.sim_helpers import get, put, simulate

FRAME = 0x0123456789ABCDEF


def set_keys(ctx, dut: wiring.Component, key: Key, frame: int) -> None:
    """The key bus of feature maps: the first block of associated data is zero."""
    values = key_bus(key.reveal(), frame.to_bytes(8, "little")) | {"aad_base": 0}
    for name, value in values.items():
        ctx.set(getattr(dut.keys, name), value)
    ctx.set(dut.keys.valid, 1)


def header(offset: int, row: bytes) -> dict[str, int]:
    return {"index": offset, "dest": 0, "length": len(row) // 16, "flags": ROW_FLAGS}


def sealed_by(dut, key: Key, rows: dict[int, bytes], gap: float) -> list[PlainBeat]:
    """What the unit makes of the rows."""
    found: list[int] = []

    async def headers(ctx):
        set_keys(ctx, dut, key, FRAME)
        ctx.set(dut.status.ready, 1)
        await put(ctx, dut.header, [header(offset, row) for offset, row in rows.items()], random.Random(1), gap)

    async def data(ctx):
        await put(ctx, dut.data, [{"data": b} for row in rows.values() for b in beats(row)], random.Random(2), gap)

    async def out(ctx):
        found.extend(await get(ctx, dut.out, sum(len(r) // 16 + 1 for r in rows.values()), random.Random(3), gap))
        await ctx.tick().repeat(4)
        assert ctx.get(dut.idle)

    simulate(dut, headers, data, out)
    return [PlainBeat.from_bits(one) for one in found]


def rows_of(rng: random.Random) -> dict[int, bytes]:
    lengths, rows, offset = [1, 2, 3, 4, 5, 1, 40, 7, 1], {}, rng.getrandbits(20)
    for length in lengths:
        rows[offset] = rng.randbytes(16 * length)
        offset += length + 1
    return rows


@pytest.mark.parametrize(("bits", "cycles", "gap"), [(128, 1, 0.0), (128, 5, 0.3), (256, 1, 0.3)])
def test_rows_as_pycryptodome_seals_them(bits, cycles, gap):
    rng = random.Random(bits + cycles)
    key, rows = Key(rng.randbytes(bits // 8)), rows_of(rng)
    found = sealed_by(GcmStream(key_bits=bits, aes_cycles=cycles, encrypt=True), key, rows, gap)
    wanted = [seal_row(key, FRAME, offset, row) for offset, row in rows.items()]
    assert [one.data for one in found] == beats(b"".join(wanted))
    assert [one.last for one in found] == [k == len(body) // 16 - 1 for body in wanted for k in range(len(body) // 16)]
    for (offset, row), body in zip(rows.items(), wanted, strict=True):
        assert open_row(key, FRAME, offset, body) == row
        for frame, place in ((FRAME - 1, offset), (FRAME, offset + 1)):
            with pytest.raises(HwgenError, match="authentication failed"):
                open_row(key, frame, place, body)


def test_rows_are_opened_in_their_frame_and_place_only():
    rng, key = random.Random(5), Key(bytes(range(16)))
    dut = GcmStream(aes_cycles=5)
    row = rng.randbytes(16 * 6)
    segment = Segment(index=77, dest=0, flags=1, payload=row)

    async def testbench(ctx):
        for frame, offset, body, ok in (
                (9, 77, seal_row(key, 9, 77, row), True), (10, 77, seal_row(key, 9, 77, row), False),
                (9, 78, seal_row(key, 9, 77, row), False), (9, 77, seal_row(key, 9, 77, row[:-16]) + bytes(16), False)):
            set_keys(ctx, dut, key, frame)
            item = Sealed(segment, header(offset, row), body, ok)
            (await send_one(ctx, dut, item)).check([item])

    simulate(dut, testbench)


def test_without_crypto_rows_are_plain_and_tags_zero():
    rows = rows_of(random.Random(8))
    found = sealed_by(SegmentBypass(encrypt=True), Key(bytes(16)), rows, 0.3)
    assert [one.data for one in found] == beats(b"".join(row + bytes(16) for row in rows.values()))


@pytest.mark.parametrize("bits", [128, 256])
def test_key_of_feature_maps(bits):
    """Derived from master key and boot salt, with the commit; dropped with the key; the frame's number never falls."""
    rng = random.Random(bits)
    dut = KeyManager(key_bits=bits, spill=True)
    master, salts = Key(rng.randbytes(bits // 8)), [rng.randbytes(16) for _ in range(2)]

    async def provide(ctx, salt: bytes):
        await write_key(ctx, dut, master)
        await strobe(ctx, dut.key_commit)
        assert not ctx.get(dut.key_loaded)  # the salt belongs to it
        for word in range(4):
            ctx.set(dut.key_write.payload,
                    {"index": BOOT_SALT + word, "data": number(salt[4 * word:4 * word + 4])})
            await strobe(ctx, dut.key_write.valid)
        await strobe(ctx, dut.key_commit)
        assert ctx.get(dut.key_loaded)

    async def testbench(ctx):
        frame = 0
        for salt in salts:
            await provide(ctx, salt)
            for _ in range(2):
                await strobe(ctx, dut.start)
                frame += 1
                await ctx.tick().until(dut.spill_keys.valid)
                expected = key_bus(derive_spill_key(master, salt).reveal(), frame.to_bytes(8, "little"))
                assert {name: ctx.get(getattr(dut.spill_keys, name)) for name in expected} == expected | {"aad_base": 0}
            ctx.set(dut.key_write.payload, {"index": BOOT_SALT, "data": 1})  # a new salt drops everything
            await strobe(ctx, dut.key_write.valid)
            assert not ctx.get(dut.key_loaded) and not ctx.get(dut.spill_keys.valid)
            assert not ctx.get(dut.spill_keys.round_keys) and not ctx.get(dut.spill_keys.h_powers)
        await provide(ctx, salts[0])
        await strobe(ctx, dut.lock)
        ctx.set(dut.key_write.payload, {"index": BOOT_SALT, "data": 1})
        await strobe(ctx, dut.key_write.valid)
        assert ctx.get(dut.key_loaded)
        await ctx.tick().until(dut.spill_keys.valid)
        await strobe(ctx, dut.zeroise)
        assert not ctx.get(dut.spill_keys.valid) and not ctx.get(dut.spill_keys.round_keys)
        assert ctx.get(dut.spill_keys.image_id) == frame

    simulate(dut, testbench)
