"""Load unit and channels together: random runs from a memory model into models of the on-chip memories."""

import random
from dataclasses import dataclass, field

import pytest
from amaranth.hdl import Elaboratable, Module, Value
from amaranth.lib import wiring
from amaranth.sim import Simulator

from hwgen.isa.layout import LOAD_FIELDS, LOAD_STEP_FIELDS, LoadFlag, LoadKind, encode
from rtl_templates.shell import load_channel
from rtl_templates.shell.load_channel import LoadChannel
from rtl_templates.shell.load_unit import EVERYTHING, LoadUnit
from rtl_templates.shell.packer import line_layout, word_layout
from rtl_templates.shell.program_memory import write_layout
from rtl_templates.shell.stream_arbiter import StreamArbiter
from tests.rtl_templates.shell.checksum_unit import ChecksumUnit, tag_of
from tests.rtl_templates.shell.configs import small
from tests.rtl_templates.shell.sim_helpers import put

IMAGE, INPUT, SCRATCH = 0x100000, 0x200000, 0x300000  # beat addresses
RING = 48


@dataclass
class Plan:
    """A load program, the memory it reads and what must come of it."""

    descriptors: list[dict] = field(default_factory=list)
    memory: dict[int, int] = field(default_factory=dict)
    lines: list[int] = field(default_factory=list)  # of the whole weight stream
    words: dict[int, int] = field(default_factory=dict)
    program: dict[int, int] = field(default_factory=dict)
    act_runs: int = 0


def make_plan(config, rng, runs, *, kinds=tuple(LoadKind), damage=None, resident=False):
    """Random runs; ``damage``: index of a segment whose tag is wrong."""
    plan, offset, input_offset, index, at_word, at_program = Plan(), 0, 0, 0, 0, 0
    for number in range(runs):
        kind = rng.choice(kinds)
        log2 = rng.choice((4, 5))
        unit = {LoadKind.WEIGHTS: config.line_bytes, LoadKind.PROGRAM: 16}.get(kind, max(16, config.p_i)) // 16
        beats = unit * rng.randrange(1, 5 * (1 << log2) // unit)
        beats = min(beats, (8 if kind in (LoadKind.PROGRAM, LoadKind.WEIGHTS) else 60) * unit)
        data = [rng.getrandbits(128) for _ in range(beats)]
        if kind == LoadKind.INPUT and rng.random() < 0.6:
            at_word = add_planes(plan, config, rng, number, log2=log2, at_word=at_word)
            continue
        dest = {LoadKind.WEIGHTS: 0, LoadKind.PROGRAM: at_program}.get(kind, at_word)
        flags = rng.randrange(2) << LoadFlag.ENCRYPTED
        if resident and kind != LoadKind.INPUT:
            flags |= 1 << LoadFlag.RESIDENT
        plan.descriptors.append({
            "kind": kind, "flags": flags, "segment_log2": log2, "wait_progress": number, "beats": beats,
            "offset": input_offset if kind == LoadKind.INPUT else offset, "dest": dest, "index": index})
        raw = b"".join(beat.to_bytes(16, "little") for beat in data)
        if kind == LoadKind.INPUT:
            for beat in data:
                plan.memory[INPUT + input_offset] = beat
                input_offset += 1
        else:
            for start in range(0, beats, 1 << log2):
                part = data[start:start + (1 << log2)]
                header = {"index": index, "dest": dest, "length": len(part), "flags": flags | kind << 6}
                for beat in [*part, tag_of(header, part) ^ (index == damage)]:
                    plan.memory[IMAGE + offset] = beat
                    offset += 1
                index += 1
        if kind == LoadKind.WEIGHTS:
            size = config.line_bytes
            plan.lines += [int.from_bytes(raw[k:k + size], "little") for k in range(0, len(raw), size)]
        elif kind == LoadKind.PROGRAM:
            plan.program |= {dest + k: beat for k, beat in enumerate(data)}
            at_program += beats
        else:
            plan.words |= {dest + k // config.p_i: int.from_bytes(raw[k:k + config.p_i], "little")
                           for k in range(0, len(raw), config.p_i)}
            at_word += len(raw) // config.p_i
            plan.act_runs += 1
    return plan


def add_planes(plan, config, rng, number, *, log2, at_word):
    """A load of several planes from the input or the scratch buffer; the next free word."""
    beats, planes = max(1, config.p_i // 16) * rng.randrange(1, 24), rng.randrange(1, 5)
    scratch, words = rng.randrange(2), beats * 16 // config.p_i
    step = {"flags": 1 << LoadFlag.STEPS, "wait_store": number, "last_plane": planes - 1,
            "offset_step": beats + rng.randrange(0, 9), "dest_step": words + rng.randrange(0, 5)}
    offset = 0x10000 * (number + 1)
    plan.descriptors += [step, {
        "kind": LoadKind.INPUT, "flags": scratch << LoadFlag.SCRATCH, "segment_log2": log2, "wait_progress": number,
        "beats": beats, "offset": offset, "dest": at_word}]
    for plane in range(planes):
        data = [rng.getrandbits(128) for _ in range(beats)]
        at = (SCRATCH if scratch else INPUT) + offset + plane * step["offset_step"]
        plan.memory |= {at + k: beat for k, beat in enumerate(data)}
        raw = b"".join(beat.to_bytes(16, "little") for beat in data)
        dest = at_word + plane * step["dest_step"]
        plan.words |= {dest + k: int.from_bytes(raw[k * config.p_i:(k + 1) * config.p_i], "little")
                       for k in range(words)}
    plan.act_runs += 1
    return at_word + planes * step["dest_step"]


class Bench(Elaboratable):
    """The way from descriptors to the on-chip memories."""

    def __init__(self, config):
        self.config = config
        self.load = LoadUnit(config=config)
        self.channels = [LoadChannel(config=config) for _ in range(config.axi_ports)]
        shapes = (line_layout(config), word_layout(config), write_layout())
        self.arbiters = [StreamArbiter(shape=shape, inputs=config.axi_ports + 1) for shape in shapes]

    def elaborate(self, platform):
        m = Module()
        m.submodules.load = self.load
        for number, channel in enumerate(self.channels):
            m.submodules[f"channel_{number}"] = channel
            wiring.connect(m, self.load.segment[number], channel.segment)
            m.d.comb += [self.load.done[number].eq(channel.done), channel.ack.eq(self.load.ack[number]),
                         channel.ring_lines.eq(self.load.ring_lines)]
            for arbiter, out in zip(self.arbiters, (channel.line, channel.word, channel.program), strict=True):
                wiring.connect(m, out, arbiter.i[number])
        for number, arbiter in enumerate(self.arbiters):
            m.submodules[f"arbiter_{number}"] = arbiter
        return m


class Memories:
    """The on-chip memories, and what is known about them at every cycle."""

    def __init__(self, plan):
        self.plan, self.ring, self.words, self.program = plan, {}, {}, {}
        self.freed = 0

    def check_watermark(self, loaded):
        """Every line below ``loaded`` that was not freed is in the ring."""
        for sequence in range(self.freed, min(loaded, len(self.plan.lines))):
            assert self.ring.get(sequence % RING) == self.plan.lines[sequence], f"line {sequence} of {loaded}"


def memory_port(channel, plan, rng, gap, latency):
    """AXI read slave: bursts in order, ``latency`` cycles."""
    async def testbench(ctx):
        axi, queue, now = channel.axi, [], 0
        while True:
            ctx.set(axi.arready, rng.random() >= gap)
            if not ctx.get(axi.rvalid) and queue and queue[0][0] <= now and rng.random() >= gap:
                _, beat, last = queue.pop(0)
                ctx.set(axi.rdata, plan.memory.get(beat, 0))
                ctx.set(axi.rlast, last)
                ctx.set(axi.rvalid, 1)
            _, _, arvalid, arready, araddr, arlen, rvalid, rready = await ctx.tick().sample(
                axi.arvalid, axi.arready, axi.araddr, axi.arlen, axi.rvalid, axi.rready)
            now += 1
            if arvalid and arready:
                assert araddr % 16 == 0 and araddr // 4096 == (araddr + 16 * arlen) // 4096
                queue += [(now + latency, araddr // 16 + k, k == arlen) for k in range(arlen + 1)]
            if rvalid and rready:
                ctx.set(axi.rvalid, 0)
                if queue and queue[0][0] <= now and rng.random() >= gap:
                    _, beat, last = queue.pop(0)
                    ctx.set(axi.rdata, plan.memory.get(beat, 0))
                    ctx.set(axi.rlast, last)
                    ctx.set(axi.rvalid, 1)
    return testbench


def run(config, plan, *, gap=0.2, latency=20, warm=False, until=None, limit=60_000):
    """Simulate until the load unit has finished (or ``until(ctx, bench)``); the memories and the number of cycles."""
    bench, memories, figures = Bench(config), Memories(plan), {"cycles": 0}
    load = bench.load

    async def descriptors(ctx):
        ctx.set(load.image, IMAGE)
        ctx.set(load.input, INPUT)
        ctx.set(load.scratch, SCRATCH)
        ctx.set(load.ring_lines, RING)
        ctx.set(load.warm, warm)
        for channel in bench.channels:
            ctx.set(channel.keys.valid, 1)
            if config.protect_activations:
                ctx.set(channel.row_keys.valid, 1)
        items = [*plan.descriptors, {"flags": 1 << LoadFlag.END}]
        layout = load.descriptor.payload.shape()
        await put(ctx, load.descriptor, [layout.from_bits(int.from_bytes(
            encode(LOAD_STEP_FIELDS if "wait_store" in d else LOAD_FIELDS, d), "little")) for d in items],
            random.Random(1), gap)

    async def chip(ctx):
        gaps = random.Random(2)
        progress = stored = 0
        outs = [(arbiter.o, name) for arbiter, name in zip(bench.arbiters, ("line", "addr", "addr"), strict=True)]
        while True:
            for out, _ in outs:
                ctx.set(out.ready, gaps.random() >= gap)
            sampled = await ctx.tick().sample(
                load.loaded, load.act_loaded, load.program_loaded, load.finished,
                *(x for out, name in outs for x in (out.valid, out.ready, getattr(out.p, name),
                                                    Value.cast(out.p.data))))
            figures["cycles"] += 1
            loaded, act_loaded, program_loaded, done = sampled[2:6]
            for target, (valid, ready, address, value) in zip(
                    (memories.ring, memories.words, memories.program),
                    [sampled[6 + 4 * k:10 + 4 * k] for k in range(3)], strict=True):
                if valid and ready:
                    target[address] = value
            if loaded != EVERYTHING:
                memories.check_watermark(loaded)
                assert loaded - memories.freed <= RING
            if gaps.random() < 0.3 or gap == 0.0:
                memories.freed = min(loaded, memories.freed + gaps.randrange(4)) if gap else loaded
                ctx.set(load.freed, memories.freed)
            if gaps.random() < 0.05 or gap == 0.0:
                progress = min(progress + 1, 4000)
                ctx.set(load.progress, progress)
            if gaps.random() < 0.05 or gap == 0.0:
                stored = min(stored + 1, 4000)
                ctx.set(load.stored, stored)
            figures.update(act_loaded=act_loaded, program_loaded=program_loaded, loaded=loaded)
            if done or (until is not None and until(ctx, bench)):
                return

    simulator = Simulator(bench)
    simulator.add_clock(1e-6)
    simulator.add_testbench(descriptors, background=True)
    simulator.add_testbench(chip)
    for number, channel in enumerate(bench.channels):
        simulator.add_testbench(memory_port(channel, plan, random.Random(number), gap, latency), background=True)
    steps = 0
    while simulator.advance():
        steps += 1
        assert steps < 2 * limit, figures
    return memories, figures


@pytest.fixture
def checksum(monkeypatch):
    monkeypatch.setattr(load_channel, "segment_unit", lambda config: ChecksumUnit())


@pytest.mark.parametrize("p_i,ports", [(8, 1), (16, 3), (32, 2), (64, 2)])
@pytest.mark.parametrize("seed", [1, 2])
def test_random_programs(checksum, p_i, ports, seed):
    config = small(p_i, axi_ports=ports)
    plan = make_plan(config, random.Random(10 * p_i + seed), 14)
    memories, figures = run(config, plan)
    assert figures["loaded"] == len(plan.lines)
    assert figures["act_loaded"] == plan.act_runs
    assert figures["program_loaded"] == len(plan.program)
    assert memories.words == plan.words and memories.program == plan.program


def test_warm_frames_skip_what_is_resident(checksum):
    config = small(32)
    plan = make_plan(config, random.Random(5), 10, resident=True)
    _, figures = run(config, plan, warm=True)
    inputs = [d for d in plan.descriptors if d.get("kind") == LoadKind.INPUT]
    assert figures["loaded"] == EVERYTHING and figures["act_loaded"] == plan.act_runs and inputs


@pytest.mark.parametrize("damage", [0, 3, 9])
def test_nothing_behind_a_wrong_tag_is_released(checksum, damage):
    config = small(16, axi_ports=2)
    plan = make_plan(config, random.Random(6), 12, kinds=(LoadKind.WEIGHTS,), damage=damage)
    per_segment = [min(1 << d["segment_log2"], d["beats"] - start) * 16 // config.line_bytes
                   for d in plan.descriptors for start in range(0, d["beats"], 1 << d["segment_log2"])]
    seen = {}

    def until(ctx, bench):
        for channel in bench.channels:
            if ctx.get(channel.failed):
                seen["index"] = ctx.get(channel.failed_index)
                seen["wait"] = seen.get("wait", 0) + 1
        return seen.get("wait", 0) > 300

    _, figures = run(config, plan, until=until)
    assert seen["index"] == damage
    assert figures["loaded"] == sum(per_segment[:damage])


def test_abort_in_mid_burst_and_start_again(checksum):
    config = small(16)
    plan = make_plan(config, random.Random(7), 12)
    # abort is exercised at the level of one channel: open bursts end, the channel becomes idle, then works again
    dut = LoadChannel(config=config)
    segment = {"address": IMAGE, "to": {"kind": LoadKind.ACTIVATIONS, "target": 0, "beats": 20, "bypass": 1},
               "header": {"index": 0, "dest": 0, "length": 20, "flags": 0}}
    accepted, taken = [], []

    async def testbench(ctx):
        ctx.set(dut.keys.valid, 1)
        for attempt in range(6):
            ctx.set(dut.segment.payload, segment)
            ctx.set(dut.segment.valid, 1)
            for _ in range(3):
                await ctx.tick().until(dut.segment.ready)
            ctx.set(dut.segment.valid, 0)
            ctx.set(dut.word.ready, 1)
            await ctx.tick().repeat(5 + 9 * attempt)
            ctx.set(dut.abort, 1)
            await ctx.tick().repeat(16)
            await ctx.tick().until(dut.idle)
            ctx.set(dut.abort, 0)
            await ctx.tick().repeat(4)
            assert not ctx.get(dut.axi.arvalid) and not ctx.get(dut.axi.rvalid) and not ctx.get(dut.word.valid)
            accepted.append(attempt)
        ctx.set(dut.segment.valid, 1)
        await ctx.tick().until(dut.segment.ready)
        ctx.set(dut.segment.valid, 0)
        for _ in range(300):
            _, _, valid, addr, data = await ctx.tick().sample(dut.word.valid, dut.word.p.addr, dut.word.p.data)
            if valid:
                taken.append((addr, data))
        assert ctx.get(dut.done)

    source = {IMAGE + k: k + 1 for k in range(20)}
    plan.memory = source

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.add_testbench(memory_port(dut, plan, random.Random(1), 0.3, 12), background=True)
    simulator.run()
    assert accepted == list(range(6))
    assert taken == [(k, k + 1) for k in range(20)]


def test_segments_follow_one_another_without_a_gap(checksum):
    """One port, latency 100, segments of 32 beats and a tag: the port is never idle."""
    config = small(32, axi_ports=1, weight_lines=64)
    beats = 32 * 30
    plan = make_plan(config, random.Random(8), 0)
    plan.descriptors = [{"kind": LoadKind.ACTIVATIONS, "segment_log2": 5, "beats": beats, "offset": 0}]
    data, offset = [n for n in range(beats)], 0
    for index, start in enumerate(range(0, beats, 32)):
        part = data[start:start + 32]
        header = {"index": index, "dest": 0, "length": 32, "flags": LoadKind.ACTIVATIONS << 6}
        for beat in [*part, tag_of(header, part)]:
            plan.memory[IMAGE + offset] = beat
            offset += 1
    _, figures = run(config, plan, gap=0.0, latency=100)
    assert figures["act_loaded"] == 1
    assert figures["cycles"] < offset + 100 + 60, figures
