"""Queues, registers and arbiters of streams under random gaps."""

import random

import pytest
from amaranth.hdl import Value

from rtl_templates.shell.stream_arbiter import StreamArbiter
from rtl_templates.shell.stream_fifo import StreamFifo
from rtl_templates.shell.stream_register import StreamRegister
from tests.rtl_templates.shell.sim_helpers import get, put, simulate

PARTS = {"fifo": lambda: StreamFifo(shape=16, depth=4), "fifo3": lambda: StreamFifo(shape=16, depth=3),
         "register": lambda: StreamRegister(shape=16)}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("gaps", [(0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.4, 0.4)])
def test_order(part, gaps):
    dut, rng = PARTS[part](), random.Random(3)
    items = [rng.randrange(1 << 16) for _ in range(300)]
    received = []

    async def source(ctx):
        await put(ctx, dut.i, items, rng, gaps[0])

    async def sink(ctx):
        received.extend(await get(ctx, dut.o, len(items), rng, gaps[1]))

    simulate(dut, source, sink, limit=350 if gaps == (0.0, 0.0) else 3000)
    assert received == items


@pytest.mark.parametrize("part", PARTS)
def test_clear(part):
    dut = PARTS[part]()

    async def testbench(ctx):
        ctx.set(dut.i.valid, 1)
        ctx.set(dut.i.payload, 7)
        await ctx.tick().repeat(6)
        assert ctx.get(dut.o.valid) and not ctx.get(dut.i.ready)
        ctx.set(dut.i.valid, 0)
        ctx.set(dut.clear, 1)
        await ctx.tick()
        ctx.set(dut.clear, 0)
        for _ in range(5):
            await ctx.tick()
            assert not ctx.get(dut.o.valid)
        assert ctx.get(dut.i.ready)

    simulate(dut, testbench)


@pytest.mark.parametrize("inputs", [2, 3, 5])
@pytest.mark.parametrize("gap", [0.0, 0.5])
def test_arbiter(inputs, gap):
    dut, rng = StreamArbiter(shape=16, inputs=inputs), random.Random(4)
    items = [[1000 * k + n for n in range(60)] for k in range(inputs)]
    received = []

    def source(number):
        async def testbench(ctx):
            await put(ctx, dut.i[number], items[number], random.Random(number), gap)
        return testbench

    async def sink(ctx):
        received.extend(await get(ctx, dut.o, 60 * inputs, rng, gap))

    simulate(dut, *map(source, range(inputs)), sink, limit=60 * inputs + 20 if gap == 0.0 else 3000)
    assert sorted(received) == sorted(item for sent in items for item in sent)
    for number, sent in enumerate(items):
        assert [item for item in received if item // 1000 == number] == sent


def test_arbiter_is_fair():
    dut = StreamArbiter(shape=8, inputs=3)

    async def testbench(ctx):
        ctx.set(dut.o.ready, 1)
        for number, source in enumerate(dut.i):
            ctx.set(source.valid, 1)
            ctx.set(source.payload, number)
        taken = []
        for _ in range(30):
            _, _, valid, payload = await ctx.tick().sample(dut.o.valid, Value.cast(dut.o.payload))
            assert valid
            taken.append(payload)
        assert [taken.count(number) for number in range(3)] == [10, 10, 10]

    simulate(dut, testbench)
