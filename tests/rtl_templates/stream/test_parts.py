"""Parts of a pipeline on their own: fork, memory of results, memory filled by lines; random gaps."""

from __future__ import annotations

import random

import numpy as np
import pytest

import rtl_templates.stream.line_store
import rtl_templates.stream.output_memory
from hwgen.config.accelerator import AcceleratorConfig
from hwgen.config.pipeline import StageKind
from rtl_templates.stream.fork import Fork
from rtl_templates.stream.line_store import LineStore, Piece
from rtl_templates.stream.output_memory import OutputMemory
from tests.helpers.stages import layer
from tests.rtl_templates.engine.cycles import PlainRam, packed
from tests.rtl_templates.shell.sim_helpers import get, put, simulate

CONFIG = AcceleratorConfig(p_i=8, p_o=8, line_columns=2)
ONE = {"kernel": (1, 1), "padding": (0, 0, 0, 0)}


@pytest.mark.parametrize("gaps", [(0.0, 0.0, 0.0), (0.2, 0.7, 0.1)])
def test_fork(gaps):
    dut, items, found = Fork(shape=8, readers=3), list(range(60)), {}

    async def source(ctx):
        await put(ctx, dut.i, items, random.Random(1), 0.3)

    def sink(number):
        async def run(ctx):
            found[number] = await get(ctx, dut.o[number], len(items), random.Random(number), gaps[number])
        return run

    simulate(dut, source, sink(0), sink(1), sink(2))
    assert found == dict.fromkeys(range(3), items)


@pytest.mark.parametrize("gap", [0.0, 0.4])
@pytest.mark.parametrize("size", [(5, 1, 1), (3, 2, 3), (2, 1, 1)])
def test_output_memory(size, gap, monkeypatch):
    monkeypatch.setattr(rtl_templates.stream.output_memory, "Ram", PlainRam)
    out, height, width = size
    stage = layer(np.random.default_rng(1), StageKind.DENSE, (2, height, width), out, raw=True, **ONE).stage
    dut = OutputMemory(config=CONFIG, stage=stage)
    rng, frames, pixels = np.random.default_rng(2), 5, height * width
    values = rng.integers(-2**31, 2**31, (frames, pixels, out))
    planes = -(-4 * out // 8)
    found = []

    async def source(ctx):
        await put(ctx, dut.i, [packed(pixel, 32) for frame in values for pixel in frame], random.Random(1), gap)

    async def reads(ctx):
        await put(ctx, dut.read, [{"addr": n} for _ in range(frames) for n in range(planes * pixels)],
                  random.Random(2), gap)

    async def data(ctx):
        while len(found) < frames * planes * pixels:
            _, _, valid, word = await ctx.tick().sample(dut.data.valid, dut.data.data)
            if valid:
                found.append(word)

    simulate(dut, source, reads, data, limit=5000)
    words = np.array(found, np.uint64).reshape(frames, planes, pixels)
    for frame in range(frames):
        sums = words[frame].T.copy().view("<i4").reshape(pixels, -1)[:, :out]
        assert np.array_equal(sums, values[frame])


def test_no_frame_before_it_is_complete(monkeypatch):
    monkeypatch.setattr(rtl_templates.stream.output_memory, "Ram", PlainRam)
    stage = layer(np.random.default_rng(1), StageKind.DENSE, (2, 1, 2), 2, raw=True, **ONE).stage
    dut = OutputMemory(config=CONFIG, stage=stage)

    async def testbench(ctx):
        ctx.set(dut.i.valid, 1)
        completed = 0
        for _ in range(20):
            assert ctx.get(dut.read.ready) == (completed > 0)
            completed += ctx.get(dut.complete)
            await ctx.tick()
        assert completed == 2 and not ctx.get(dut.i.ready)  # both places are taken

    simulate(dut, testbench)


@pytest.mark.parametrize("borrow", [False, True])
def test_line_store(borrow, monkeypatch):
    monkeypatch.setattr(rtl_templates.stream.line_store, "Ram", PlainRam)
    rng = random.Random(4)
    base, words, chunks = 7, 5, 2
    pieces = [Piece(0, ((0, 48),), 0), Piece(0, ((48, 80),), 1), Piece(1, ((8, 8), (64, 16)), 2)]
    dut = LineStore(config=CONFIG, base=base, words=words, chunks=chunks, pieces=pieces, borrow=borrow)
    lines = [rng.getrandbits(128) for _ in range(base + words * chunks + 4)]

    def stored(line):
        values = line.to_bytes(16, "little")
        if borrow:
            values = bytes(v if n % 2 == 0 else (v - (values[n - 1] >> 7)) & 0xFF for n, v in enumerate(values))
        return int.from_bytes(values, "little")

    def expected(piece, word):
        line, out, at = stored(lines[base + piece.chunk * words + word]), 0, 0
        for offset, width in piece.fields:
            out |= (line >> offset & (1 << width) - 1) << at
            at += width
        return out

    async def testbench(ctx):
        for repeat in range(2):  # lines of other stages before and behind; a second image
            for number, line in enumerate(lines):
                while rng.random() < 0.3:
                    ctx.set(dut.write.valid, 0)
                    await ctx.tick()
                ctx.set(dut.write, {"valid": 1, "line": number, "data": line ^ (0 if repeat else 1)})
                await ctx.tick()
        ctx.set(dut.write.valid, 0)
        await ctx.tick().repeat(3)
        order = [rng.randrange(words) for _ in range(30)]
        for cycle in range(len(order) + 3):
            ctx.set(dut.address, order[min(cycle, len(order) - 1)])
            await ctx.tick()
            at = 0
            for piece in pieces:
                word = cycle - piece.position
                if 0 <= word < len(order):
                    assert ctx.get(dut.data[at:at + piece.width]) == expected(piece, order[word])
                at += piece.width

    simulate(dut, testbench)
