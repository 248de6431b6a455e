"""Program memory and fetchers: order, watermark, end of a program, sharing of the read port."""

import random

import pytest
from amaranth.hdl import Elaboratable, Module, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory

from rtl_templates.memory import ram
from rtl_templates.shell import program_memory
from rtl_templates.shell.program_fetcher import ProgramFetcher
from rtl_templates.shell.program_memory import ProgramMemory
from tests.rtl_templates.shell.sim_helpers import simulate


class SimulatedRam(ram.Ram):
    """The Verilog RAM's behaviour in Amaranth."""

    def elaborate(self, platform):
        m = Module()
        m.submodules.rows = rows = Memory(shape=self.width, depth=self.depth, init=[])
        read, write = rows.read_port(), rows.write_port()
        m.d.comb += [read.addr.eq(self.read_addr), read.en.eq(1), self.read_data.eq(read.data),
                     write.addr.eq(self.write_addr), write.data.eq(self.write_data), write.en.eq(self.write_en)]
        return m


class Bench(Elaboratable):
    """A memory and fetchers of the given descriptor sizes."""

    def __init__(self, sizes):
        self.memory = ProgramMemory(words=64, readers=len(sizes))
        self.fetchers = [ProgramFetcher(words=size) for size in sizes]
        self.clear = Signal()

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = self.memory
        for index, fetcher in enumerate(self.fetchers):
            m.submodules[f"fetcher_{index}"] = ResetInserter(self.clear)(fetcher)
            wiring.connect(m, fetcher.read, self.memory.read[index])
            m.d.comb += [fetcher.read_valid.eq(self.memory.read_valid[index]),
                         fetcher.read_data.eq(self.memory.read_data)]
        return m


@pytest.fixture
def simulated_ram(monkeypatch):
    monkeypatch.setattr(program_memory, "Ram", SimulatedRam)


async def fill(ctx, memory, words):
    ctx.set(memory.write.valid, 1)
    for addr, word in enumerate(words):
        ctx.set(memory.write.payload, {"addr": addr, "data": word})
        await ctx.tick()
    ctx.set(memory.write.payload, {"addr": 64 + 3, "data": 0})  # behind the end: dropped
    await ctx.tick()
    ctx.set(memory.write.valid, 0)


def test_three_programs_share_the_memory(simulated_ram):
    sizes, bases, counts = (1, 1, 6), (2, 20, 27), (5, 4, 6)
    dut, rng = Bench(sizes), random.Random(2)
    words = [rng.getrandbits(128) for _ in range(64)]
    results = {}

    async def main(ctx):
        await fill(ctx, dut.memory, words)
        for fetcher, base in zip(dut.fetchers, bases, strict=True):
            ctx.set(fetcher.base, base)
            ctx.set(fetcher.limit, 63)
            ctx.set(fetcher.start, 1)
        await ctx.tick()
        for fetcher in dut.fetchers:
            ctx.set(fetcher.start, 0)

    def consumer(index):
        async def testbench(ctx):
            fetcher, gaps, taken = dut.fetchers[index], random.Random(index), []
            for number in range(counts[index]):
                ctx.set(fetcher.last, number == counts[index] - 1)
                while gaps.random() < 0.5:
                    await ctx.tick()
                ctx.set(fetcher.descriptor.ready, 1)
                payload, = await ctx.tick().sample(fetcher.descriptor.payload).until(fetcher.descriptor.valid)
                taken.append(payload)
                ctx.set(fetcher.descriptor.ready, 0)
            await ctx.tick().repeat(30)
            assert not ctx.get(fetcher.descriptor.valid) and ctx.get(fetcher.idle)
            results[index] = taken
        return testbench

    simulate(dut, main, *(consumer(index) for index in range(3)))
    for index, (size, base, count) in enumerate(zip(sizes, bases, counts, strict=True)):
        wanted = [sum(words[base + size * n + k] << 128 * k for k in range(size)) for n in range(count)]
        assert results[index] == wanted


def test_watermark_and_reset(simulated_ram):
    dut = Bench((6,))

    async def main(ctx):
        fetcher = dut.fetchers[0]
        await fill(ctx, dut.memory, list(range(100, 164)))
        for _ in range(2):
            ctx.set(fetcher.base, 4)
            ctx.set(fetcher.limit, 9)
            ctx.set(fetcher.start, 1)
            await ctx.tick()
            ctx.set(fetcher.start, 0)
            await ctx.tick().repeat(20)
            assert not ctx.get(fetcher.descriptor.valid)
            ctx.set(fetcher.limit, 10)
            payload, = await ctx.tick().sample(fetcher.descriptor.payload).until(fetcher.descriptor.valid)
            assert payload == sum(104 + k << 128 * k for k in range(6))
            ctx.set(dut.clear, 1)
            await ctx.tick().repeat(4)
            ctx.set(dut.clear, 0)
            assert not ctx.get(fetcher.descriptor.valid)

    simulate(dut, main)
