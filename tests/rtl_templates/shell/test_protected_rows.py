"""Rows of protected feature maps: out through store unit and sealer, in through load unit, channels and both units."""

import random
from dataclasses import dataclass, field

import pytest
from amaranth.hdl import Elaboratable, Module
from amaranth.lib import wiring

from hwgen.config.accelerator import AcceleratorConfig, Crypto
from hwgen.isa.layout import STORE_FIELDS, STORE_STEP_FIELDS, LoadFlag, LoadKind, encode
from hwgen.seal import Key, seal_row
from rtl_templates.crypto.interfaces import ROW_FLAGS
from rtl_templates.crypto.segment_switch import SegmentSwitch
from rtl_templates.shell import load_channel
from rtl_templates.shell.store_sealer import StoreSealer
from rtl_templates.shell.store_unit import StoreUnit
from tests.rtl_templates.crypto.crypto_model import beats
from tests.rtl_templates.crypto.test_sealing import FRAME, set_keys
from tests.rtl_templates.shell.checksum_unit import ChecksumUnit, tag_of
from tests.rtl_templates.shell.configs import small
from tests.rtl_templates.shell.sim_helpers import get, put, simulate
from tests.rtl_templates.shell.test_load_path import SCRATCH, Plan, make_plan, run

KEY = Key(bytes(range(7, 23)))


def protected(p_i: int, **changes) -> AcceleratorConfig:
    return small(p_i, protect_activations=True, spill_aes_cycles=10, **changes)


def row_beats(words: int, p_i: int) -> int:
    return -(-words * p_i // 16)


class Out(Elaboratable):
    """Store unit and sealer."""

    def __init__(self, config):
        self.store, self.sealer = StoreUnit(config=config), StoreSealer(config=config)

    def elaborate(self, platform):
        m = Module()
        m.submodules.store, m.submodules.sealer = self.store, self.sealer
        wiring.connect(m, self.store.rows, self.sealer.rows)
        wiring.connect(m, self.store.beats, self.sealer.i)
        m.d.comb += self.sealer.sealed.eq(self.store.sealed)
        return m


@dataclass
class Stores:
    """A store program, and what must reach the write master."""

    program: list[bytes] = field(default_factory=list)
    requests: list[tuple[int, int]] = field(default_factory=list)
    beats: list[int] = field(default_factory=list)


def stores_of(rng: random.Random, p_i: int, memory: list[int], *, crypto: bool) -> Stores:
    """Stores of rows, odd ones among them, and of other words in turn."""
    out, kinds = Stores(), ((5, 3, 2), None, (4, 1, 3), (1, 6, 1), None, (7, 2, 2))
    for number, kind in enumerate(kinds):
        src, offset = rng.randrange(150), rng.randrange(1000)
        store = {"last": number == len(kinds) - 1, "src": src, "offset": offset}
        if kind is None:
            out.program.append(encode(STORE_FIELDS, store | {"words": 9}))
            data = b"".join(memory[src + k].to_bytes(p_i, "little") for k in range(9))
            out.beats += beats(data + bytes(-len(data) % 16))
            out.requests.append((0x1000 + offset, -(-len(data) // 16)))
            continue
        width, rows, planes = kind
        stored = rows * (row_beats(width, p_i) + 1)
        step = {"steps": 1, "last_plane": planes - 1, "src_step": width * rows + 1, "offset_step": stored + 5,
                "row_words": width, "stored_beats": stored}
        out.program += [encode(STORE_STEP_FIELDS, step),
                        encode(STORE_FIELDS, store | {"words": width * rows, "scratch": 1})]
        for plane in range(planes):
            at = offset + plane * step["offset_step"]
            out.requests.append((0x9000 + at, stored))
            for row in range(rows):
                first = src + plane * step["src_step"] + row * width
                data = b"".join(memory[first + k].to_bytes(p_i, "little") for k in range(width))
                data += bytes(-len(data) % 16)
                out.beats += beats(seal_row(KEY, FRAME, at, data) if crypto else data + bytes(16))
                at += len(data) // 16 + 1
    return out


@pytest.mark.parametrize(("p_i", "crypto", "gap"), [(8, True, 0.2), (16, True, 0.0), (8, False, 0.0), (64, False, 0.3)])
def test_stores(p_i, crypto, gap):
    rng = random.Random(p_i)
    memory = [rng.getrandbits(8 * p_i) for _ in range(256)]
    dut = Out(protected(p_i, crypto=Crypto.GCM if crypto else Crypto.BYPASS))
    wanted, requests, found = stores_of(rng, p_i, memory, crypto=crypto), [], []
    store = dut.store

    async def descriptors(ctx):
        ctx.set(store.output, 0x1000)
        ctx.set(store.scratch, 0x9000)
        set_keys(ctx, dut.sealer, KEY, FRAME)
        await put(ctx, store.descriptor, [store.descriptor.payload.shape().from_bits(int.from_bytes(text, "little"))
                                          for text in wanted.program], random.Random(1), gap)

    async def memory_model(ctx):
        gaps, pipeline = random.Random(2), [None] * 3
        while not ctx.get(store.finished):
            ctx.set(store.act_read.ready, gaps.random() >= gap)
            _, _, valid, ready, addr = await ctx.tick().sample(store.act_read.valid, store.act_read.ready,
                                                               store.act_read.p.addr)
            pipeline.append(memory[addr] if valid and ready else None)
            word = pipeline.pop(0)
            ctx.set(store.act_data, {"valid": word is not None, "data": word or 0})

    async def writer(ctx):
        for _, count in wanted.requests:
            raw, = await get(ctx, store.request, 1, random.Random(3), gap)
            request = store.request.payload.shape().from_bits(raw)
            requests.append((request.address, request.beats))
            found.extend(await get(ctx, dut.sealer.o, count, random.Random(4), gap))

    simulate(dut, descriptors, memory_model, writer)
    assert requests == wanted.requests
    assert found == wanted.beats


@pytest.fixture
def checksums(monkeypatch):
    """Both units of a port as checksums, which check a header's index, length, place and flags."""
    monkeypatch.setattr(load_channel, "segment_unit",
                        lambda config: SegmentSwitch(image=ChecksumUnit(), rows=ChecksumUnit()))


def rows_plan(config, rng, loads, *, damage=None) -> Plan:
    """Runs of the image, inputs, and rows of feature maps in turn; ``damage``: number of the row with a wrong tag."""
    plan, number = make_plan(config, rng, loads, kinds=(LoadKind.WEIGHTS, LoadKind.PROGRAM)), 0
    at_word = 0
    for position in range(loads):
        width, rows, planes = rng.randrange(1, 9), rng.randrange(1, 5), rng.randrange(1, 3)
        each = row_beats(width, config.p_i)
        stored, offset, dest_step = rows * (each + 1), 0x1000 * (position + 1), width * rows + 1
        step = {"flags": 1 << LoadFlag.STEPS, "wait_store": 0, "last_plane": planes - 1, "row_words": width,
                "offset_step": stored + 3, "dest_step": dest_step}
        load = {"kind": LoadKind.INPUT, "flags": 1 << LoadFlag.SCRATCH, "segment_log2": 6, "beats": rows * each,
                "offset": offset, "dest": at_word}
        at = rng.randrange(len(plan.descriptors) + 1)
        if at and plan.descriptors[at - 1]["flags"] >> LoadFlag.STEPS & 1:
            at -= 1
        plan.descriptors[at:at] = [step, load]
        for plane in range(planes):
            place = offset + plane * step["offset_step"]
            for row in range(rows):
                words = [rng.getrandbits(8 * config.p_i) for _ in range(width)]
                raw = b"".join(word.to_bytes(config.p_i, "little") for word in words)
                data = beats(raw + bytes(-len(raw) % 16))
                tag = tag_of({"index": place, "dest": 0, "length": each, "flags": ROW_FLAGS}, data)
                for k, beat in enumerate([*data, tag ^ (number == damage)]):
                    plan.memory[SCRATCH + place + k] = beat
                plan.words |= {at_word + plane * dest_step + row * width + k: word for k, word in enumerate(words)}
                place, number = place + each + 1, number + 1
        at_word += planes * dest_step
        plan.act_runs += 1
    return plan


@pytest.mark.parametrize(("p_i", "ports"), [(8, 1), (8, 3), (32, 2)])
def test_loads(checksums, p_i, ports):
    config = protected(p_i, axi_ports=ports)
    plan = rows_plan(config, random.Random(p_i + ports), 6)
    memories, figures = run(config, plan)
    assert figures["loaded"] == len(plan.lines) and figures["program_loaded"] == len(plan.program)
    assert figures["act_loaded"] == plan.act_runs and memories.words == plan.words


def test_loads_without_crypto():
    """The measuring build: the same framing, tags are dropped."""
    config = protected(8, axi_ports=2)
    assert config.crypto is Crypto.BYPASS
    plan = rows_plan(config, random.Random(11), 4)
    memories, figures = run(config, plan)
    assert figures["loaded"] == len(plan.lines) and memories.words == plan.words


def test_a_wrong_row_is_told_by_its_place(checksums):
    config = protected(8, axi_ports=2)
    plan, seen = rows_plan(config, random.Random(3), 4, damage=2), {}

    def until(ctx, bench):
        for channel in bench.channels:
            if ctx.get(channel.failed):
                seen["index"], seen["row"] = ctx.get(channel.failed_index), ctx.get(channel.failed_row)
                seen["wait"] = seen.get("wait", 0) + 1
        return seen.get("wait", 0) > 200

    _, figures = run(config, plan, until=until)
    assert seen["row"] == 1 and plan.memory.get(SCRATCH + seen["index"]) is not None
    assert figures["act_loaded"] < plan.act_runs
