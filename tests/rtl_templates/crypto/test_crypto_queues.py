"""The small queues of the crypto unit: order under random gaps, rate, zeroisation."""

import gc
import random

import pytest
from amaranth.lib import data

from rtl_templates.crypto.header_queue import HeaderQueue
from rtl_templates.crypto.interfaces import SegmentHeader
from rtl_templates.crypto.keystream_fifo import KeystreamFifo
from rtl_templates.crypto.skid_buffer import SkidBuffer
from tests.rtl_templates.shell.sim_helpers import get, put, simulate

GAPS = [(0.0, 0.0), (0.5, 0.1), (0.1, 0.5), (0.4, 0.4)]


@pytest.mark.parametrize("gaps", GAPS)
def test_skid_buffer(gaps):
    dut, rng, received = SkidBuffer(shape=data.StructLayout({"a": 8, "b": 8})), random.Random(1), []
    items = [rng.getrandbits(16) for _ in range(100)]

    async def source(ctx):
        await put(ctx, dut.i, [{"a": i & 255, "b": i >> 8} for i in items], rng, gaps[0])

    async def sink(ctx):
        received.extend(await get(ctx, dut.o, len(items), rng, gaps[1]))

    simulate(dut, source, sink, limit=105 if gaps == (0.0, 0.0) else 1000)
    assert received == items


@pytest.mark.parametrize("gaps", GAPS)
def test_header_queue(gaps):
    """Both readers see every header once, in order."""
    dut, rng, received = HeaderQueue(), random.Random(2), {"ahead": [], "behind": []}
    lengths = [rng.choice([*range(6), 1024, rng.getrandbits(16)]) for _ in range(50)]
    items = [SegmentHeader.const({"index": i, "length": length, "dest": rng.getrandbits(32)})
             for i, length in enumerate(lengths)]

    async def source(ctx):
        await put(ctx, dut.i, items, rng, gaps[0])

    async def ahead(ctx):
        for _ in items:
            received["ahead"] += await get(ctx, dut.ahead, 1, rng, gaps[1])

    async def behind(ctx):
        for number, item in enumerate(items):  # never before the other reader
            while len(received["ahead"]) <= number:
                await ctx.tick()
            assert ctx.get(dut.behind_long) == (item.length >= 3)
            received["behind"] += await get(ctx, dut.behind, 1, rng, gaps[1])

    simulate(dut, source, ahead, behind)
    expected = [i.as_bits() for i in items]
    assert received == {"ahead": expected, "behind": expected}


def test_header_queue_holds_until_both_have_read():
    dut = HeaderQueue(depth=4)

    async def testbench(ctx):
        ctx.set(dut.i.valid, 1)
        ctx.set(dut.ahead.ready, 1)
        await ctx.tick().repeat(4)
        assert not ctx.get(dut.i.ready)
        await ctx.tick().repeat(3)
        assert not ctx.get(dut.ahead.valid) and not ctx.get(dut.i.ready)
        ctx.set(dut.behind.ready, 1)
        await ctx.tick()
        assert ctx.get(dut.i.ready)

    simulate(dut, testbench)


def test_keystream_fifo():
    """Writes on every cycle with room, reads at random; then cleared, entry by entry."""
    depth = 8
    dut, rng = KeystreamFifo(depth=depth), random.Random(3)
    items = [rng.getrandbits(128) for _ in range(60)]

    async def testbench(ctx):
        waiting, inside, received = list(items), 0, []
        while len(received) < len(items):
            write = bool(waiting) and inside < depth and rng.random() < 0.7
            ctx.set(dut.i_valid, write)
            ctx.set(dut.i, waiting[0] if write else 0)
            ctx.set(dut.o.ready, rng.random() < 0.6)
            if ctx.get(dut.o.valid) and ctx.get(dut.o.ready):
                received.append(ctx.get(dut.o.payload))
                inside -= 1
            await ctx.tick()
            if write:
                del waiting[0]
                inside += 1
        assert received == items
        assert any(ctx.get(dut.blocks.data[i]) for i in range(depth))
        ctx.set(dut.clear, 1)
        await ctx.tick().repeat(depth)
        assert not any(ctx.get(dut.blocks.data[i]) for i in range(depth))
        assert not ctx.get(dut.o.valid)

    simulate(dut, testbench)


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
@pytest.mark.parametrize("unit", [KeystreamFifo, HeaderQueue])
def test_depth(unit):
    with pytest.raises(ValueError, match="depth must be a power of two, not 6"):
        unit(depth=6)
    gc.collect()  # Amaranth complains here, where it is expected, about the unfinished component
