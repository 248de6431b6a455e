"""The window unit against plain loops, with memory ports that are not always free."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator

import rtl_templates.engine.window_parameters
import rtl_templates.engine.window_rows
import rtl_templates.engine.window_unit as template
from hwgen.config.accelerator import WINDOW_MIN_WIDTH, AcceleratorConfig, WindowUnit
from rtl_templates.engine.descriptor import WINDOW_FIELDS
from rtl_templates.engine.timing import (
    WINDOW_QUEUE,
    WINDOW_START,
    WINDOW_WORD,
    window_block_cycles,
    window_latency,
)
from tests.helpers.bare_engine import odd
from tests.helpers.window_layers import WindowLayer, random_layer
from tests.rtl_templates.engine.cycles import PlacedHere, PlainRam

SMALL = AcceleratorConfig(p_i=8, p_o=16, window=WindowUnit.DEPTHWISE, window_width=16)
WIDE = SMALL.replace(p_i=16, p_o=16, line_columns=4)
LARGE = SMALL.replace(window_kernel=5)
POOL = SMALL.replace(window=WindowUnit.POOL)


def place_here(config: AcceleratorConfig, monkeypatch: pytest.MonkeyPatch) -> template.SlidingWindow:
    """The unit with everything that it places by name inside."""
    made = {template.WINDOW_LANE: lambda: template.WindowLane(config=config),
            template.WINDOW_REQUANTISE: lambda: template.Requantise(config=config, whole=False)}
    monkeypatch.setattr(template, "Instance", lambda name, **ports: PlacedHere(made[name](), **ports))
    for module in (rtl_templates.engine.window_rows, rtl_templates.engine.window_parameters):
        monkeypatch.setattr(module, "Ram", PlainRam)
    return template.SlidingWindow(config=config)


class Bench:
    """Memory, parameter stream and descriptors around the unit."""

    def __init__(self, config: AcceleratorConfig, layers: list[WindowLayer], rng: np.random.Generator, *, gap: float,
                 line_gap: float = 0.0) -> None:
        self.config, self.layers, self.rng, self.gap, self.line_gap = config, layers, rng, gap, line_gap
        self.memory: dict[int, int] = {}
        self.programs, self.lines, self.places = [], deque[bytes](), []
        at = 0
        for number, layer in enumerate(layers):
            channels, _, width = layer.x.shape
            blocks, rows = -(-channels // config.p_i), layer.in_rows
            _, oh, ow = layer.result_shape
            plane, out_plane = odd(len(rows) * width), odd(oh * ow)
            src, dst = at, at + blocks * plane
            at = dst + blocks * out_plane
            for c, y, x in np.ndindex(blocks, len(rows), width):
                word = layer.x[c * config.p_i:(c + 1) * config.p_i, rows[0] + y, x]
                self.memory[src + c * plane + y * width + x] = int.from_bytes(word.tobytes(), "little")
            fields = layer.fields(config, src=src, src_plane=plane, dst=dst, dst_plane=out_plane)
            self.programs.append({n: v for n, v in fields.items() if n in WINDOW_FIELDS} | {
                "wait_progress": number, "wait_act": min(number, 2), "wait_store": min(number, 1)})
            self.lines.extend(layer.lines(config))
            self.places.append((dst, out_plane))
        self.written: list[int] = []
        self.retired: list[int] = []
        self.handed: list[int] = []
        self.reads = 0

    def check(self, number: int) -> None:
        """The result of a layer is in memory."""
        layer, (dst, plane) = self.layers[number], self.places[number]
        expected = layer.result()
        for c, y, x in np.ndindex(*expected.shape):
            block, lane = divmod(c, self.config.p_i)
            word = self.memory[dst + block * plane + y * expected.shape[2] + x]
            found = int.from_bytes((word >> 8 * lane & 255).to_bytes(1), signed=True)
            assert found == expected[c, y, x], (number, c, y, x)

    def run(self, dut: Any, cycles: int = 60_000, before: Callable[[Any], Awaitable[None]] | None = None) -> None:
        """Run all descriptors, after ``before``."""
        rng, begin = self.rng, [before is None]

        async def feed(ctx: Any) -> None:
            while not begin[0]:
                await ctx.tick()
            for fields in self.programs:
                ctx.set(dut.descriptors.payload, fields)
                ctx.set(dut.descriptors.valid, 1)
                await ctx.tick().until(dut.descriptors.ready)
                ctx.set(dut.descriptors.valid, 0)

        async def surround(ctx: Any) -> None:
            if before:
                await before(ctx)
                begin[0] = True
            pending: deque[int] = deque([0] * (WINDOW_WORD - 1))
            credit, granted, room, now = WINDOW_QUEUE, False, False, 0
            while len(self.retired) < len(self.layers):
                assert now < cycles, "not finished"
                # what the unit did in the last cycle was with these answers
                granted, room = bool(rng.random() >= self.gap), bool(rng.random() >= self.gap)
                ctx.set(dut.read.ready, granted)
                ctx.set(dut.write.ready, room)
                done = len(self.retired)
                ctx.set(dut.progress, done)
                ctx.set(dut.act_loaded, min(now // 40, 2))
                ctx.set(dut.stored, min(now // 90, 1))
                send = bool(self.lines) and credit > 0 and rng.random() >= self.line_gap
                ctx.set(dut.parameter_write, send)
                if send:
                    ctx.set(dut.parameter_line, int.from_bytes(self.lines.popleft(), "little"))
                ctx.set(dut.word, pending.popleft())
                if ctx.get(dut.read.valid) and granted:
                    assert done >= self.programs[done]["wait_progress"]
                    assert now // 40 >= self.programs[done]["wait_act"]
                    pending.append(self.memory[ctx.get(dut.read.payload.addr)])
                    self.reads += 1
                else:
                    pending.append(int.from_bytes(rng.bytes(self.config.p_i), "little"))
                if ctx.get(dut.write.valid) and room:
                    self.memory[ctx.get(dut.write.payload.addr)] = ctx.get(dut.write.payload.data)
                    self.written.append(now)
                credit += ctx.get(dut.parameter_taken) - send
                if ctx.get(dut.descriptors.valid) and ctx.get(dut.descriptors.ready):
                    self.handed.append(now)
                if ctx.get(dut.retired):
                    self.retired.append(now)
                    self.check(done)
                await ctx.tick()
                now += 1

        simulator = Simulator(dut)
        simulator.add_clock(1e-6)
        simulator.add_testbench(surround)
        simulator.add_testbench(feed)
        simulator.run()


def layers_of(rng: np.random.Generator, config: AcceleratorConfig, count: int) -> list[WindowLayer]:
    """Random layers within what the unit can do."""
    out = []
    for number in range(count):
        kh, kw = (int(v) for v in rng.integers(1, config.window_kernel + 1, 2))
        maximum = config.window is WindowUnit.POOL or bool(rng.integers(2))
        shape = (int(rng.integers(1, 3 * config.p_i + 1)), int(rng.integers(1, 9)),
                 int(rng.choice([WINDOW_MIN_WIDTH, 5, 8, 11, config.window_width])))
        out.append(random_layer(
            rng, config, maximum=maximum, kernel=(kh, kw), stride=(int(rng.integers(1, 4)), int(rng.integers(1, 4))),
            x=rng.integers(-128, 128, shape).astype(np.int8), strip=bool(number % 2)))
    return out


@pytest.mark.parametrize("gap", [0.0, 0.4])
@pytest.mark.parametrize("config", [SMALL, WIDE, LARGE, POOL], ids=["3x3", "16 lanes", "5x5", "pool"])
def test_layers(config: AcceleratorConfig, gap: float, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(int(10 * gap) + config.p_i + config.window_kernel)
    layers = layers_of(rng, config, 10)
    bench = Bench(config, layers, rng, gap=gap, line_gap=gap)
    bench.run(place_here(config, monkeypatch))
    assert not bench.lines


@pytest.mark.parametrize("config", [SMALL, LARGE, POOL], ids=["3x3", "5x5", "pool"])
def test_cycles(config: AcceleratorConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ``timing`` says of a descriptor: one position per cycle, between a fixed beginning and a fixed end."""
    rng = np.random.default_rng(5)
    x = rng.integers(-128, 128, (2 * config.p_i, 7, 9)).astype(np.int8)
    layer = random_layer(rng, config, maximum=config.window is WindowUnit.POOL, kernel=(3, 3), stride=(1, 1), x=x)
    bench = Bench(config, [layer] * 3, rng, gap=0.0)
    for program in bench.programs:
        program.update(wait_act=0, wait_store=0)
    bench.run(place_here(config, monkeypatch))
    expected = WINDOW_START + layer.last_position(config) + window_latency(config)
    assert np.diff(bench.retired).tolist() == [expected] * 2
    assert bench.reads == 3 * 2 * 7 * 9


@pytest.mark.parametrize("config", [SMALL, LARGE, POOL], ids=["3x3", "5x5", "pool"])
def test_cycles_of_short_blocks(config: AcceleratorConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks whose words take less time than their weights."""
    rng = np.random.default_rng(6)
    side = config.window_kernel + 1
    words = max(side * side, config.window_block_words)
    x = rng.integers(-128, 128, (4 * config.p_i, -(-words // side), side)).astype(np.int8)
    layer = random_layer(rng, config, maximum=config.window is WindowUnit.POOL, kernel=(config.window_kernel,) * 2,
                         stride=(1, 1), x=x)
    layer = dataclasses.replace(layer, padding=(0, 0, 0, 0))
    bench = Bench(config, [layer] * 2, rng, gap=0.0)
    for program in bench.programs:
        program.update(wait_act=0, wait_store=0)
    bench.run(place_here(config, monkeypatch))
    late = window_block_cycles(config) - x.shape[1] * x.shape[2]
    assert late > 0
    expected = WINDOW_START + layer.last_position(config) + 3 * late + window_latency(config)
    assert np.diff(bench.retired).tolist() == [expected]


def test_scrub(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scrubbed for as long as it says, no memory holds anything; then the unit works."""
    rams: list[PlainRam] = []

    def make(**parameters: Any) -> PlainRam:
        rams.append(PlainRam(**parameters))
        return rams[-1]

    rng = np.random.default_rng(1)
    dut = place_here(SMALL, monkeypatch)
    for module in (rtl_templates.engine.window_rows, rtl_templates.engine.window_parameters):
        monkeypatch.setattr(module, "Ram", make)
    bench = Bench(SMALL, layers_of(rng, SMALL, 1), rng, gap=0.0)

    async def scrub(ctx: Any) -> None:
        def left() -> int:
            return sum(ctx.get(ram.rows.data[n]) != 0 for ram in rams for n in range(ram.depth))

        assert len(rams) == 2 and left() > 500
        ctx.set(dut.scrub, 1)
        await ctx.tick().repeat(template.window_entries(SMALL))
        ctx.set(dut.scrub, 0)
        await ctx.tick()
        assert left() == 0
        ctx.set(dut.clear, 1)
        await ctx.tick()
        ctx.set(dut.clear, 0)

    bench.run(dut, before=scrub)
