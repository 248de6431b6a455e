"""The weight fetch against the order of the stream: array and window descriptors mixed, units at random speeds."""

from __future__ import annotations

import random
from typing import Any

import pytest
from amaranth.sim import Simulator

from hwgen.config.accelerator import AcceleratorConfig, WindowUnit
from hwgen.isa.layout import ComputeFlag, Opcode
from rtl_templates.engine.timing import PARAMETER_SLOTS, WINDOW_QUEUE
from rtl_templates.engine.weight_fetch import WeightFetch

ARRAY = AcceleratorConfig(p_i=8, p_o=16, line_columns=2, weight_lines=128)
MIXED = ARRAY.replace(window=WindowUnit.DEPTHWISE)
RING = 60
LOCAL_LINE = 80

#: what a line is: kind, line address, index in its section
Line = tuple[str, int, int]


def program(config: AcceleratorConfig, rng: random.Random, count: int,
            ) -> tuple[list[dict[str, int]], list[Line], list[int]]:
    """Descriptors, the lines they need in order, and for each line the stream's count behind it (0: local)."""
    descriptors: list[dict[str, int]] = []
    lines: list[Line] = []
    counts: list[int] = []
    seq = 0

    def stream(kind: str, index: int) -> None:
        nonlocal seq
        lines.append((kind, seq % RING, index))
        seq += 1
        counts.append(seq)

    for number in range(count):
        blocks = rng.randrange(1, 4)
        base = {"weight_line": seq % RING, "weight_seq": seq, "last_l5": blocks - 1}
        if config.window is not WindowUnit.NONE and rng.random() < 0.5:
            descriptors.append(base | {"opcode": rng.choice([Opcode.WINDOW_CONV, Opcode.WINDOW_MAX]),
                                       "flags": 1 << ComputeFlag.RELEASE})
            for _ in range(blocks):
                for index in range(config.window_lines):
                    stream("window", index)
            continue
        pair, local, pool = rng.random() < 0.3, rng.random() < 0.3, rng.random() < 0.2
        steps = 0 if pool else rng.randrange(1, 4)
        local &= not pool
        descriptors.append(base | {
            "opcode": Opcode.MAXPOOL if pool else Opcode.CONV, "steps": steps, "tile_line": LOCAL_LINE,
            "wait_progress": number if local else 0,
            "flags": pair << ComputeFlag.PAIR | local << ComputeFlag.LOCAL_WEIGHTS | 1 << ComputeFlag.RELEASE})
        half, at = 1 + pair, LOCAL_LINE
        for _ in range(blocks):
            for index in range(config.param_lines // half):
                stream("parameters", index)
            for _ in range(steps):
                for index in range(config.lines_per_tile // half):
                    if local:
                        lines.append(("tile", at, index))
                        counts.append(0)
                        at += 1
                    else:
                        stream("tile", index)
    return descriptors, lines, counts


@pytest.mark.parametrize("config", [ARRAY, MIXED], ids=["array", "mixed"])
@pytest.mark.parametrize("speed", [0.15, 1.0])
def test_streams(config: AcceleratorConfig, speed: float) -> None:
    rng = random.Random(int(10 * speed))
    descriptors, lines, counts = program(config, rng, 14)
    window = config.window is not WindowUnit.NONE
    dut: Any = WeightFetch(config=config)
    seen: list[Line] = []
    tiles = {"ready": 0, "taken": 0, "read": 0}
    slots = queued = loaded = 0
    handed = 0

    async def bench(ctx: Any) -> None:
        nonlocal slots, queued, loaded, handed
        ctx.set(dut.ring_lines, RING)
        for cycle in range(20_000):
            if len(seen) == len(lines):
                break
            if loaded < counts_max and rng.random() < 0.7:
                loaded += 1
            ctx.set(dut.loaded, loaded)
            ctx.set(dut.progress, handed if cycle % 50 > 25 else 0)
            ctx.set(dut.descriptors.valid, handed < len(descriptors))
            if handed < len(descriptors):
                ctx.set(dut.descriptors.payload, descriptors[handed])
            ready = bool(ctx.get(dut.tile_ready))
            take = ready and rng.random() < speed
            ctx.set(dut.tile_taken, take)
            tiles["taken"] += take
            give = slots > 0 and rng.random() < speed
            ctx.set(dut.parameters_taken, give)
            slots -= give
            ctx.set(dut.block_started, 0)
            if window:
                drop = queued > 0 and rng.random() < speed
                ctx.set(dut.window_taken, drop)
                queued -= drop
            if ctx.get(dut.line_valid):
                kind = "parameters" if ctx.get(dut.line_is_parameters) else (
                    "window" if window and ctx.get(dut.line_is_window) else "tile")
                found = (kind, ctx.get(dut.read_line), ctx.get(dut.line_index))
                assert found == lines[len(seen)], (len(seen), cycle)
                assert counts[len(seen)] <= loaded
                seen.append(found)
                if kind == "tile" and found[2] == 0:
                    tiles["read"] += 1
                    # a tile is only overwritten once the one before it has been taken
                    assert tiles["taken"] >= tiles["read"] - 1
                slots += kind == "parameters" and found[2] == 0
                queued += kind == "window"
                assert slots <= PARAMETER_SLOTS and queued <= WINDOW_QUEUE
            if ctx.get(dut.descriptors.valid) and ctx.get(dut.descriptors.ready):
                handed += 1
            await ctx.tick()
        await ctx.tick()
        assert ctx.get(dut.freed) == max(counts)

    counts_max = max(counts)
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert len(seen) == len(lines)
    assert {kind for kind, _, _ in lines} == ({"parameters", "tile", "window"} if window else {"parameters", "tile"})


def test_the_queue_of_the_window_unit_fills() -> None:
    """Without anything taken, as many lines are read as the queue holds."""
    descriptors = [{"opcode": Opcode.WINDOW_CONV, "last_l5": 4095 >> 1}]
    dut: Any = WeightFetch(config=MIXED)
    read = 0

    async def bench(ctx: Any) -> None:
        nonlocal read
        ctx.set(dut.ring_lines, RING)
        ctx.set(dut.loaded, 1 << 20)
        ctx.set(dut.descriptors.payload, descriptors[0])
        ctx.set(dut.descriptors.valid, 1)
        await ctx.tick()
        ctx.set(dut.descriptors.valid, 0)
        for _ in range(2 * WINDOW_QUEUE):
            read += ctx.get(dut.line_valid)
            await ctx.tick()
        assert read == WINDOW_QUEUE
        ctx.set(dut.window_taken, 1)
        await ctx.tick()
        ctx.set(dut.window_taken, 0)
        for _ in range(5):
            read += ctx.get(dut.line_valid)
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert read == WINDOW_QUEUE + 1
