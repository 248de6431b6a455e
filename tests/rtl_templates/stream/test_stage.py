"""Whole stages against plain loops: several frames, random gaps on all sides, every kind, odd sizes and foldings."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

import rtl_templates.stream.columns
import rtl_templates.stream.line_store
import rtl_templates.stream.results
import rtl_templates.stream.step_array
import rtl_templates.stream.windows
from hwgen.config.accelerator import AcceleratorConfig, DspPacking
from hwgen.config.pipeline import StageKind
from hwgen.ir.nodes import Pair
from hwgen.stream.cost import source_cycles, stage_cycles
from hwgen.stream.play import starts_of
from rtl_templates.stream.stage import Stage
from rtl_templates.stream.timing import row_gap
from tests.helpers.stages import Layer, expected, layer, to_tiles
from tests.rtl_templates.engine.cycles import PlacedHere, PlainRam, lanes, packed
from tests.rtl_templates.shell.sim_helpers import get, put, simulate

CONFIG = AcceleratorConfig(p_i=8, p_o=8, line_columns=2, acc_bits=32)
DENSE, DEPTHWISE, SUM, MAXIMUM = StageKind.DENSE, StageKind.DEPTHWISE, StageKind.SUM, StageKind.MAXIMUM
ONE = {"kernel": (1, 1), "padding": (0, 0, 0, 0)}
CASES = {
    "dense": dict(kind=DENSE, size=(5, 4, 5), out=6, pe=4, simd=9, lanes=2),
    "dense-one-multiplier": dict(kind=DENSE, size=(2, 3, 4), out=3, kernel=(2, 2), padding=(0, 1, 1, 0)),
    "dense-all-at-once": dict(kind=DENSE, size=(3, 4, 4), out=4, pe=4, simd=27, lanes=4, queue=40),
    "dense-stride": dict(kind=DENSE, size=(3, 7, 6), out=4, stride=(2, 2), pe=2, simd=11, lanes=1),
    "dense-left-over-rows": dict(kind=DENSE, size=(2, 6, 5), out=2, kernel=(2, 2), stride=(3, 2), padding=(0, 0, 0, 0),
                                 pe=2, simd=3, lanes=2),
    "dense-wide-stride": dict(kind=DENSE, size=(4, 6, 6), out=5, stride=(2, 2), pe=4, simd=2, lanes=2, **ONE),
    "core-rows": dict(kind=DENSE, size=(4, 5, 3), out=4, kernel=(3, 1), padding=(1, 1, 0, 0), pe=4, simd=6, lanes=2),
    "core-columns": dict(kind=DENSE, size=(4, 3, 5), out=4, kernel=(1, 3), padding=(0, 0, 1, 1), pe=2, simd=4, lanes=2),
    "width-1": dict(kind=DENSE, size=(3, 5, 1), out=2, kernel=(3, 1), padding=(1, 1, 0, 0), pe=2, simd=5, lanes=1),
    "residual": dict(kind=DENSE, size=(3, 4, 4), out=4, residual=True, pe=4, simd=9, lanes=2),
    "raw": dict(kind=DENSE, size=(6, 2, 2), out=5, raw=True, pe=2, simd=3, lanes=1, **ONE),
    "whole": dict(kind=DENSE, size=(3, 3, 4), out=5, kernel=(3, 4), padding=(0, 0, 0, 0), whole=True, raw=True, pe=2,
                  simd=2, lanes=1),
    "depthwise": dict(kind=DEPTHWISE, size=(6, 5, 4), out=6, pe=4, simd=4, lanes=2),
    "average": dict(kind=SUM, size=(3, 4, 6), out=3, kernel=(2, 3), stride=(2, 3), padding=(0, 0, 0, 0), pe=2, simd=4,
                    lanes=1),
    "global-average": dict(kind=SUM, size=(5, 3, 3), out=5, kernel=(3, 3), padding=(0, 0, 0, 0), whole=True, pe=2,
                           simd=1, lanes=2),
    "add": dict(kind=SUM, size=(4, 3, 3), out=4, residual=True, pe=2, simd=1, lanes=2, **ONE),
    "maximum": dict(kind=MAXIMUM, size=(3, 5, 6), out=3, stride=(2, 2), pe=2, simd=5, lanes=1),
    "serial": dict(kind=DEPTHWISE, size=(6, 5, 4), out=6, serial=True, pe=2, simd=4, lanes=2),
    "serial-all-taps": dict(kind=DEPTHWISE, size=(4, 4, 5), out=4, serial=True, pe=1, simd=9, lanes=1, queue=40),
    "serial-two-parts": dict(kind=DEPTHWISE, size=(4, 3, 3), out=4, serial=True, pe=2, simd=9, lanes=2),
    "serial-stride": dict(kind=DEPTHWISE, size=(6, 7, 6), out=6, stride=(2, 2), serial=True, pe=2, simd=3, lanes=1),
    "serial-rows": dict(kind=DEPTHWISE, size=(4, 5, 3), out=4, kernel=(3, 1), padding=(1, 1, 0, 0), serial=True, pe=2,
                        simd=2, lanes=1),
    "serial-columns": dict(kind=DEPTHWISE, size=(4, 3, 5), out=4, kernel=(1, 3), padding=(0, 0, 1, 1), serial=True,
                           pe=2, simd=2, lanes=2),
    "serial-width-1": dict(kind=DEPTHWISE, size=(4, 5, 1), out=4, kernel=(3, 1), padding=(1, 1, 0, 0), serial=True,
                           pe=2, simd=3, lanes=2),
    "serial-wide-stride": dict(kind=DEPTHWISE, size=(4, 6, 6), out=4, stride=(2, 2), serial=True, pe=2, simd=1, lanes=2,
                               **ONE),
    "serial-residual": dict(kind=DEPTHWISE, size=(6, 5, 4), out=6, residual=True, serial=True, pe=2, simd=5, lanes=1),
    "serial-average": dict(kind=SUM, size=(4, 4, 6), out=4, kernel=(2, 3), stride=(2, 3), padding=(0, 0, 0, 0),
                           serial=True, pe=2, simd=4, lanes=1),
    "serial-add": dict(kind=SUM, size=(4, 3, 3), out=4, residual=True, serial=True, pe=2, simd=1, lanes=2, **ONE),
    "serial-maximum": dict(kind=MAXIMUM, size=(3, 5, 6), out=3, stride=(2, 2), serial=True, pe=1, simd=5, lanes=1),
    "tiles": dict(kind=DENSE, size=(2, 6, 8), out=3, tile=(2, 2), pe=4, simd=7, lanes=2),
    "tiles-end-by-a-stride": dict(kind=DENSE, size=(1, 7, 9), out=5, stride=(2, 2), tile=(2, 2), pe=2, simd=5, lanes=1),
    "tiles-get-smaller": dict(kind=DENSE, size=(1, 8, 8), out=2, stride=(2, 2), padding=(1, 1, 1, 1), tile=(2, 4), pe=4,
                              simd=5, lanes=2),
    "tiles-of-a-row": dict(kind=DENSE, size=(3, 4, 8), out=3, kernel=(5, 5), padding=(2, 2, 2, 2), tile=(1, 2), pe=2,
                           simd=31, lanes=2),
    "tiles-and-residual": dict(kind=DENSE, size=(2, 4, 4), out=2, residual=True, tile=(2, 1), pe=4, simd=5, lanes=2),
    "tiles-depthwise": dict(kind=DEPTHWISE, size=(3, 6, 4), out=3, tile=(2, 2), pe=4, simd=4, lanes=2),
    "tiles-maximum": dict(kind=MAXIMUM, size=(3, 6, 8), out=3, kernel=(2, 2), stride=(2, 2), padding=(0, 0, 0, 0),
                          tile=(2, 2), pe=2, simd=3, lanes=1),
    "tiles-wide-maximum": dict(kind=MAXIMUM, size=(2, 8, 8), out=2, stride=(2, 2), tile=(2, 4), pe=2, simd=5, lanes=1),
    "tiles-average": dict(kind=SUM, size=(3, 6, 6), out=3, kernel=(2, 2), stride=(2, 2), padding=(0, 0, 0, 0),
                          tile=(2, 2), pe=2, simd=4, lanes=2),
    "tiles-add": dict(kind=SUM, size=(2, 4, 4), out=2, residual=True, tile=(2, 2), pe=4, simd=1, lanes=4, **ONE),
}


def place_here(case: Layer, config: AcceleratorConfig, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """The stage with everything that it places by name inside."""
    stage = Stage(config=config, stage=case.stage, lines=case.lines(config))
    for module in (rtl_templates.stream.step_array, rtl_templates.stream.results):
        monkeypatch.setattr(module, "Instance", lambda name, **ports: PlacedHere(stage.parts()[name](), **ports))
    for module in (rtl_templates.stream.columns, rtl_templates.stream.line_store, rtl_templates.stream.windows):
        monkeypatch.setattr(module, "Ram", PlainRam)
    return stage


def run(case: Layer, config: AcceleratorConfig, monkeypatch: pytest.MonkeyPatch, *, frames: int, gap: float,
        seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """What must come out and what did, per frame."""
    rng, stage, plain = np.random.default_rng(seed), case.stage, case.plain
    dut = place_here(case, config, monkeypatch)
    inputs = rng.integers(-128, 128, (frames, plain.channels, plain.height, plain.width))
    others = rng.integers(-128, 128, (frames, plain.out_channels, plain.out_height, plain.out_width))
    wanted = [to_tiles(expected(case, x, r if stage.residual else None), stage.out_tile)
              for x, r in zip(inputs, others, strict=True)]
    lines, bits, found = case.stream(config), 32 if stage.raw else 8, []

    def pixels(tensors: np.ndarray, tile: Pair) -> list[int]:
        tiles = [to_tiles(tensor, tile) for tensor in tensors]
        return [packed(pixel, 8) for tensor in tiles for pixel in tensor.reshape(len(tensor), -1).T]

    async def source(ctx):
        for number, line in enumerate(lines):
            ctx.set(dut.write, {"valid": 1, "line": number, "data": int.from_bytes(line, "little")})
            await ctx.tick()
            if number % 3 == 0:
                ctx.set(dut.write.valid, 0)
                await ctx.tick()
        ctx.set(dut.write.valid, 0)
        await ctx.tick().repeat(4)
        await put(ctx, dut.i, pixels(inputs, stage.tile), random.Random(seed + 1), gap)

    async def residual(ctx):
        if stage.residual:
            await put(ctx, dut.residual, pixels(others, stage.out_tile), random.Random(seed + 2), gap)

    async def sink(ctx):
        words = await get(ctx, dut.o, frames * stage.outputs, random.Random(seed + 3), gap)
        values = np.array([lanes(word, bits, stage.out_channels) for word in words])
        found.extend(values.reshape(frames, stage.outputs, -1).transpose(0, 2, 1).reshape(frames, *wanted[0].shape))

    simulate(dut, source, residual, sink, limit=20_000)
    return wanted, found


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("gap", [0.0, 0.4])
def test_equals_loops(name, gap, monkeypatch):
    case = layer(np.random.default_rng(len(name)), **CASES[name])
    wanted, found = run(case, CONFIG, monkeypatch, frames=2, gap=gap, seed=5)
    for want, have in zip(wanted, found, strict=True):
        assert np.array_equal(want, have)


@pytest.mark.parametrize("packing", [DspPacking.DSP48E1, DspPacking.NONE])
def test_other_multipliers(packing, monkeypatch):
    case = layer(np.random.default_rng(3), DENSE, (4, 4, 4), 5, pe=4, simd=13, lanes=2)
    wanted, found = run(case, CONFIG.replace(packing=packing), monkeypatch, frames=2, gap=0.2, seed=6)
    assert np.array_equal(wanted, found)


def test_extreme_values_do_not_collide(monkeypatch):
    """All weights -127 and all inputs -128: the largest sums of packed products."""
    case = layer(np.random.default_rng(4), DENSE, (8, 2, 2), 4, kernel=(2, 2), padding=(0, 0, 0, 0), raw=True, pe=4,
                 simd=32, lanes=4, queue=40)
    weight = np.full(case.node.weight.shape, -127, np.int8)  # type: ignore[attr-defined]
    weight[1::2] = 127
    object.__setattr__(case.node, "weight", weight)
    monkeypatch.setattr(np.random, "default_rng", lambda seed: _Lowest())
    wanted, found = run(case, CONFIG, monkeypatch, frames=1, gap=0.0, seed=1)
    assert np.array_equal(wanted, found) and wanted[0].max() >= 127 * 128 * 32 - 20000


class _Lowest:
    def integers(self, low: int, high: int, shape: tuple[int, ...]) -> np.ndarray:
        del high
        return np.full(shape, low)


def busy_cycles(case: Layer, frames: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Cycles with a step, with input at hand and a reader that never waits."""
    stage = case.stage
    dut = place_here(case, CONFIG, monkeypatch)
    busy: list[int] = []

    async def source(ctx):
        await put(ctx, dut.i, [0] * (frames * stage.height * stage.width), random.Random(1), 0.0)

    async def sink(ctx):
        ctx.set(dut.o.ready, 1)
        for cycle in range(2 * frames * stage_cycles(stage) + 200):
            if ctx.get(dut.busy):
                busy.append(cycle)
            await ctx.tick()

    simulate(dut, source, sink)
    assert len(busy) == frames * stage.frame_steps
    return busy


def test_a_step_in_every_cycle(monkeypatch):
    """The steps of a frame follow one another without a gap between windows, rows and frames."""
    case = layer(np.random.default_rng(5), DENSE, (4, 5, 6), 4, pe=2, simd=12, lanes=1, columns=16)
    busy = busy_cycles(case, 4, monkeypatch)
    assert busy[-1] - busy[0] == len(busy) - 1


@pytest.mark.parametrize("kernel, stride, out", [(5, 1, 2), (5, 1, 4), (3, 1, 4), (3, 1, 6), (5, 1, 10)])
def test_rows_of_few_steps(kernel, stride, out, monkeypatch):
    """Where a window is through before the next row's first one is shifted in, rows take what the cost model says."""
    case = layer(np.random.default_rng(5), DENSE, (1, kernel + 4, 14), out, kernel=(kernel, kernel),
                 stride=(stride, stride), padding=(0, 0, 0, 0), pe=2, simd=kernel * kernel, lanes=2, columns=64,
                 queue=64)
    stage, busy = case.stage, busy_cycles(case, 2, monkeypatch)
    starts = busy[::stage.out_width * stage.steps][:stage.out_height]
    row = stage.out_width * stage.steps + max(0, row_gap(stage) - stage.steps)
    assert {b - a for a, b in itertools.pairwise(starts)} == {row}
    assert stage_cycles(stage) == max(source_cycles(stage), stage.out_height * row)


@pytest.mark.parametrize("stride, simd", [(1, 9), (1, 4), (2, 9), (2, 5), (2, 2)])
def test_serial_channels_take_a_cycle_each(stride, simd, monkeypatch):
    """Parts follow one another through columns and windows as pixels do, so a row takes what the cost model says."""
    case = layer(np.random.default_rng(5), DEPTHWISE, (6, 7, 9), 6, stride=(stride, stride), padding=(0, 0, 0, 0),
                 serial=True, pe=2, simd=simd, lanes=2, columns=64, queue=64)
    stage, busy = case.stage, busy_cycles(case, 3, monkeypatch)
    starts = busy[::stage.frame_steps]
    assert [b - a for a, b in itertools.pairwise(starts)] == [stage_cycles(stage)] * 2


@pytest.mark.parametrize("serial", [False, True])
@pytest.mark.parametrize("period, simd, stride", [(3, 9, 1), (14, 9, 1), (14, 3, 1), (3, 4, 2)])
def test_outputs_start_when_they_are_played(serial, period, simd, stride, monkeypatch):
    """A pixel every ``period`` cycles, faster and slower than the stage: the first step of every output, but for the
    cycle in which the input is counted."""
    case = layer(np.random.default_rng(5), DEPTHWISE, (8, 4, 5), 8, stride=(stride, stride), serial=serial, pe=2,
                 simd=simd, lanes=2, columns=64, queue=64)
    stage, busy = case.stage, list[int]()
    dut = place_here(case, CONFIG, monkeypatch)
    pixels = stage.height * stage.width

    async def source(ctx):
        cycle = 0
        for number in range(pixels):
            ctx.set(dut.i.valid, 1)
            taken = False
            while not taken:
                taken = bool(ctx.get(dut.i.ready))
                await ctx.tick()
                cycle += 1
            ctx.set(dut.i.valid, 0)
            while cycle < (number + 1) * period:
                await ctx.tick()
                cycle += 1

    async def sink(ctx):
        ctx.set(dut.o.ready, 1)
        for cycle in range(pixels * period + 2 * stage_cycles(stage) + 100):
            if ctx.get(dut.busy):
                busy.append(cycle)
            await ctx.tick()

    simulate(dut, source, sink)
    played = starts_of(stage, [float(number * period) for number in range(pixels)])
    assert [cycle + 1 for cycle in busy[::stage.steps]] == played
