"""The bypass has the framing of the crypto unit and loses no cycle."""

import dataclasses
import random

import pytest

from hwgen.seal import Key
from rtl_templates.crypto.segment_bypass import SegmentBypass
from tests.rtl_templates.crypto.crypto_model import beats
from tests.rtl_templates.crypto.segment_streams import Result, Sealed, random_segments, seal, stream
from tests.rtl_templates.shell.sim_helpers import simulate

LENGTHS = [1, 1, 2, 30, 1, 3, 64, 5]


def stored(rng: random.Random) -> list[Sealed]:
    segments = [dataclasses.replace(s, flags=s.flags & 0xFE) for s in random_segments(rng, LENGTHS)]
    return seal(Key(bytes(16)), bytes(8), 0, segments)


@pytest.mark.parametrize("gap", [0.0, 0.4])
def test_segments(gap):
    rng = random.Random(1)
    sealed = stored(rng)
    stream(SegmentBypass(), sealed, lambda ctx: None, rng, gap).check(sealed)


def test_one_beat_per_cycle():
    """With everything always ready, a beat is taken in every cycle, tag beats included."""
    sealed = stored(random.Random(2))
    dut, result = SegmentBypass(), Result()
    items = [b for s in sealed for b in beats(s.body)]

    async def testbench(ctx):
        headers = iter(sealed)
        header = next(headers)
        ctx.set(dut.header.valid, 1)
        ctx.set(dut.header.payload, header.header)
        ctx.set(dut.out.ready, 1)
        ctx.set(dut.status.ready, 1)
        await ctx.tick()
        ctx.set(dut.data.valid, 1)
        header = next(headers)
        for item in items:
            ctx.set(dut.data.payload, {"data": item})
            if header is not None:
                ctx.set(dut.header.payload, header.header)
            ctx.set(dut.header.valid, header is not None)
            assert ctx.get(dut.data.ready)
            taken = ctx.get(dut.header.ready)
            await ctx.tick()
            if taken:
                header = next(headers, None)

    simulate(dut, testbench)
    assert not result.out


def test_flush():
    dut = SegmentBypass()

    async def testbench(ctx):
        ctx.set(dut.header.payload, {"length": 3})
        ctx.set(dut.header.valid, 1)
        await ctx.tick().repeat(2)
        ctx.set(dut.header.valid, 0)
        assert not ctx.get(dut.idle)
        ctx.set(dut.flush, 1)
        await ctx.tick()
        ctx.set(dut.flush, 0)
        assert ctx.get(dut.idle)
        ctx.set(dut.data.valid, 1)
        assert not ctx.get(dut.data.ready)

    simulate(dut, testbench)
