"""Requests cut into legal AXI4 bursts."""

import random

from rtl_templates.shell.burst_splitter import BurstSplitter, burst_layout, request_layout
from tests.rtl_templates.shell.sim_helpers import get, put, simulate


def expected(address: int, beats: int) -> list[tuple[int, int]]:
    bursts = []
    while beats:
        length = min(beats, 256 - address % 256)
        bursts.append((address, length - 1))
        address, beats = address + length, beats - length
    return bursts


def test_bursts():
    rng = random.Random(1)
    requests = [(0, 1), (255, 1), (255, 2), (256, 256), (257, 256), (0, 1025), (255, 1025), ((1 << 36) - 256, 256)]
    requests += [(rng.randrange(1 << 35), rng.randrange(1, 1026)) for _ in range(60)]
    wanted = [burst for request in requests for burst in expected(*request)]
    dut = BurstSplitter(beats_bits=11)
    received = []

    async def source(ctx):
        await put(ctx, dut.request, [request_layout(11).const({"address": a, "beats": n}) for a, n in requests], rng)

    async def sink(ctx):
        for raw in await get(ctx, dut.burst, len(wanted), rng):
            burst = burst_layout().from_bits(raw)
            received.append((burst.address, burst.length))
        await ctx.tick().repeat(4)
        assert ctx.get(dut.idle)

    simulate(dut, source, sink)
    assert received == wanted
