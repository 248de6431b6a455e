"""Shared by the shell's component tests: random gaps on both sides of a stream, one simulation call."""

import random

from amaranth.hdl import Value
from amaranth.sim import Simulator


def simulate(dut, *testbenches, limit: int = 200_000):
    """Run until all of ``testbenches`` (async functions of ctx) have returned; fail after ``limit`` cycles."""
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    for testbench in testbenches:
        simulator.add_testbench(testbench)
    steps = 0
    while simulator.advance():
        steps += 1
        assert steps < 2 * limit, f"not finished after {limit} cycles"


async def put(ctx, stream, items, rng: random.Random, gap: float = 0.3):
    """Send ``items``; before each, wait with probability ``gap`` per cycle."""
    for item in items:
        while rng.random() < gap:
            await ctx.tick()
        ctx.set(stream.payload, item)
        ctx.set(stream.valid, 1)
        taken = 0
        while not taken:
            _, _, taken = await ctx.tick().sample(stream.ready)
        ctx.set(stream.valid, 0)


async def get(ctx, stream, count: int, rng: random.Random, gap: float = 0.3):
    """Receive ``count`` payloads as integers."""
    received = []
    while len(received) < count:
        ctx.set(stream.ready, int(rng.random() >= gap))
        _, _, valid, ready, payload = await ctx.tick().sample(stream.valid, stream.ready, Value.cast(stream.payload))
        if valid and ready:
            received.append(payload)
    ctx.set(stream.ready, 0)
    return received
