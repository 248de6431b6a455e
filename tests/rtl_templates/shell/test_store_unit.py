"""The store unit against a model of the activation memory."""

import random

import pytest

from hwgen.isa.layout import STORE_FIELDS, STORE_STEP_FIELDS, encode
from rtl_templates.shell.store_unit import StoreUnit
from tests.rtl_templates.shell.configs import small
from tests.rtl_templates.shell.sim_helpers import get, put, simulate


@pytest.mark.parametrize("p_i", [8, 16, 32, 64])
@pytest.mark.parametrize("gap", [0.0, 0.5])
def test_stores(p_i, gap):
    rng = random.Random(p_i)
    memory = [rng.getrandbits(8 * p_i) for _ in range(256)]
    dut = StoreUnit(config=small(p_i))
    stores = [{"last": number == 5, "wait_progress": number, "src": rng.randrange(150), "words": words,
               "offset": rng.randrange(1000), "scratch": rng.randrange(2)}
              for number, words in enumerate((1, 0, 33, 4, 7, 2))]
    steps = {number: {"steps": 1, "last_plane": planes, "src_step": rng.randrange(8, 30),
                      "offset_step": rng.randrange(100, 300)} for number, planes in ((0, 2), (3, 1), (5, 3))}
    program, wanted_requests, wanted_beats, waits = [], [], [], []
    for number, store in enumerate(stores):
        step = steps.get(number, {"last_plane": 0, "src_step": 0, "offset_step": 0})
        if number in steps:
            program.append(encode(STORE_STEP_FIELDS, step))
        program.append(encode(STORE_FIELDS, store))
        for plane in range(step["last_plane"] + 1):
            first = store["src"] + plane * step["src_step"]
            data = b"".join(memory[first + k].to_bytes(p_i, "little") for k in range(store["words"]))
            data += bytes(-len(data) % 16)
            if data:
                wanted_requests.append(((0x9000 if store["scratch"] else 0x1000) + store["offset"]
                                        + plane * step["offset_step"], len(data) // 16, plane == step["last_plane"]))
                wanted_beats.append([int.from_bytes(data[k:k + 16], "little") for k in range(0, len(data), 16)])
                waits.append(store["wait_progress"])
    requests, beats, progress = [], [], []

    async def descriptors(ctx):
        ctx.set(dut.output, 0x1000)
        ctx.set(dut.scratch, 0x9000)
        await put(ctx, dut.descriptor, [dut.descriptor.payload.shape().from_bits(int.from_bytes(text, "little"))
                                        for text in program], random.Random(1), gap)

    async def memory_model(ctx):
        gaps, pipeline = random.Random(2), [None] * 3
        while not ctx.get(dut.finished):
            ctx.set(dut.act_read.ready, gaps.random() >= gap)
            _, _, valid, ready, addr = await ctx.tick().sample(dut.act_read.valid, dut.act_read.ready,
                                                               dut.act_read.p.addr)
            pipeline.append(memory[addr] if valid and ready else None)
            word = pipeline.pop(0)
            ctx.set(dut.act_data, {"valid": word is not None, "data": word or 0})

    async def writer(ctx):
        for _, count, _ in wanted_requests:
            while not ctx.get(dut.request.valid):
                await ctx.tick()
            ends = ctx.get(dut.ends)
            raw, = await get(ctx, dut.request, 1, random.Random(3), gap)
            request = dut.request.payload.shape().from_bits(raw)
            requests.append((request.address, request.beats, bool(ends)))
            progress.append(ctx.get(dut.progress))
            beats.append(await get(ctx, dut.beats, count, random.Random(4), gap))

    async def engine(ctx):
        for number in range(6):
            ctx.set(dut.progress, number)
            await ctx.tick().repeat(60)

    async def unexpected(ctx):
        while not ctx.get(dut.finished):
            await ctx.tick()
        assert requests == wanted_requests and beats == wanted_beats

    simulate(dut, descriptors, memory_model, writer, engine, unexpected)
    assert all(seen >= wait for seen, wait in zip(progress, waits, strict=True))


def test_rate():
    """A 32-byte word every two cycles."""
    dut = StoreUnit(config=small(32))

    async def testbench(ctx):
        ctx.set(dut.descriptor.payload, {"last": 1, "words": 200})
        ctx.set(dut.descriptor.valid, 1)
        ctx.set(dut.request.ready, 1)
        ctx.set(dut.beats.ready, 1)
        ctx.set(dut.act_read.ready, 1)
        pipeline, sent = [0] * 3, 0
        for _ in range(430):
            _, _, asked, beat = await ctx.tick().sample(dut.act_read.valid, dut.beats.valid)
            pipeline.append(asked)
            ctx.set(dut.act_data.valid, pipeline.pop(0))
            sent += beat
        assert sent == 400

    simulate(dut, testbench)
