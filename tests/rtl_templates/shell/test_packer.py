"""Beats into lines, activation words and program words."""

import random

import pytest
from amaranth.hdl import Value

from hwgen.isa.layout import LoadKind
from rtl_templates.shell.packer import Packer
from tests.rtl_templates.shell.configs import small
from tests.rtl_templates.shell.sim_helpers import put, simulate

RING = 12


def segments_for(config, rng):
    """Random segments of whole items: (kind, target, beats, bypass)."""
    line, word = config.line_bytes // 16, max(1, config.p_i // 16)
    for _ in range(40):
        kind = LoadKind(rng.randrange(4))
        items = rng.choice((1, 1, 2, 3, 9))
        unit = {LoadKind.WEIGHTS: line, LoadKind.PROGRAM: 1}.get(kind, word)
        target = rng.randrange(RING) if kind == LoadKind.WEIGHTS else rng.randrange(200)
        yield int(kind), target, unit * items, int(kind == LoadKind.INPUT)


def expected(config, kind, target, beats):
    """Items (kind, address, value) of a segment of integers ``beats``."""
    size = {LoadKind.WEIGHTS: config.line_bytes, LoadKind.PROGRAM: 16}.get(kind, config.p_i)
    data = b"".join(beat.to_bytes(16, "little") for beat in beats)
    kind = LoadKind.ACTIVATIONS if kind == LoadKind.INPUT else kind
    for number in range(len(data) // size):
        address = (target + number) % RING if kind == LoadKind.WEIGHTS else target + number
        yield int(kind), address, int.from_bytes(data[number * size:(number + 1) * size], "little")


@pytest.mark.parametrize("p_i", [8, 16, 32, 64])
@pytest.mark.parametrize("gap", [0.0, 0.4])
def test_packing(p_i, gap):
    config, rng = small(p_i), random.Random(p_i)
    dut = Packer(config=config)
    segments = list(segments_for(config, rng))
    beats = [[rng.getrandbits(128) for _ in range(count)] for _, _, count, _ in segments]
    wanted = [item for (kind, target, _, _), data in zip(segments, beats, strict=True)
              for item in expected(config, kind, target, data)]
    received, landed = [], []

    async def targets(ctx):
        ctx.set(dut.ring_lines, RING)
        await put(ctx, dut.to, [dict(zip(("kind", "target", "beats", "bypass"), s, strict=True)) for s in segments],
                  random.Random(1), gap)

    async def source(ctx):
        await put(ctx, dut.data, [beat for data in beats for beat in data], random.Random(2), gap)

    async def sink(ctx):
        gaps = random.Random(3)
        outputs = [(LoadKind.WEIGHTS, dut.line, "line"), (LoadKind.ACTIVATIONS, dut.word, "addr"),
                   (LoadKind.PROGRAM, dut.program, "addr")]
        while len(received) < len(wanted):
            for _, out, _ in outputs:
                ctx.set(out.ready, gaps.random() >= gap)
            sampled = await ctx.tick().sample(
                dut.landed, dut.landed_bypass,
                *(x for _, out, name in outputs
                  for x in (out.valid, out.ready, getattr(out.p, name), Value.cast(out.p.data))))
            if sampled[2]:
                landed.append((len(received), sampled[3]))
            for (kind, _, _), (valid, ready, address, value) in zip(
                    outputs, [sampled[4 + 4 * k:8 + 4 * k] for k in range(3)], strict=True):
                if valid and ready:
                    received.append((int(kind), address, value))

    simulate(dut, targets, source, sink, limit=40_000)
    assert received == wanted
    assert [bypass for _, bypass in landed] == [segment[3] for segment in segments]


def test_a_beat_per_cycle():
    config = small(32)
    dut = Packer(config=config)
    beats = config.line_bytes // 16 * 20

    async def testbench(ctx):
        ctx.set(dut.ring_lines, RING)
        ctx.set(dut.to.payload, {"kind": LoadKind.WEIGHTS, "target": 0, "beats": beats, "bypass": 0})
        ctx.set(dut.to.valid, 1)
        ctx.set(dut.data.valid, 1)
        ctx.set(dut.line.ready, 1)
        await ctx.tick()
        for _ in range(4 * beats):  # four segments without a gap
            assert ctx.get(dut.data.ready)
            await ctx.tick()

    simulate(dut, testbench)
