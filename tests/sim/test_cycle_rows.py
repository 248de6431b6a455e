"""What the monitor has written becomes rows that add up, and anything that does not add up is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from hwgen.compiler.compile import compile_network
from hwgen.compiler.result import CompiledNetwork
from hwgen.config.accelerator import AcceleratorConfig, WindowUnit
from hwgen.errors import HwgenError
from hwgen.golden.execute import run_all
from hwgen.image.sealing import sealer_for
from hwgen.image.writer import build_image
from hwgen.ir.nodes import Graph
from hwgen.isa.layout import ComputeFlag
from hwgen.seal import Key
from hwgen.verify.expected import integer_inputs
from hwgen.verify.rows import rows_of
from hwgen_sim.cycle_rows import CycleRows, cycle_rows
from hwgen_sim.simulate import MemoryTiming, run_job
from rtl_templates.engine.counters import COUNTERS
from rtl_templates.engine.timing import pipeline_latency
from tests.helpers.measured import UNCOUNTED, events_of, made_rows
from tests.helpers.networks import quantised, residual_network
from tests.helpers.random_graphs import GraphBuilder, random_image

#: the same hardware as in tests/verify/test_simulated.py, so that one simulator serves both
CONFIG = AcceleratorConfig(p_i=8, p_o=16, acc_depth=128, act_words=1024, weight_lines=1024, axi_ports=1,
                           program_words=512)
WINDOW = CONFIG.replace(window=WindowUnit.DEPTHWISE, window_width=32)
KEY = Key(bytes(range(16)))


@pytest.fixture(scope="module")
def network() -> CompiledNetwork:
    return compile_network(quantised(residual_network((16, 24), 8, tt=True)), CONFIG)


def test_rows_are_differences_of_events(network: CompiledNetwork) -> None:
    wanted = made_rows(network)
    text, registers = events_of(wanted)
    found = cycle_rows(text, registers, COUNTERS)
    assert found.descriptors == len(network.descriptors)
    assert np.array_equal(found.cycles, wanted.cycles) and np.array_equal(found.counts, wanted.counts)
    assert found.cycles.sum() == registers["cycles"]
    assert found.counts.sum(axis=0).tolist() == [registers[name] for name in COUNTERS]


def test_an_incomplete_frame_is_refused(network: CompiledNetwork) -> None:
    text, registers = events_of(made_rows(network))
    lines = text.splitlines(keepends=True)
    for broken in (lines[1:], lines[:-1], [*lines, lines[-1]], [lines[0], lines[-1]], []):
        with pytest.raises(HwgenError, match="not those of one frame"):
            cycle_rows("".join(broken), registers, COUNTERS)


@pytest.mark.parametrize("name", COUNTERS)
def test_a_difference_to_the_registers_is_refused(network: CompiledNetwork, name: str) -> None:
    text, registers = events_of(made_rows(network))
    with pytest.raises(HwgenError, match="the registers hold"):
        cycle_rows(text, {**registers, name: registers[name] + 1}, COUNTERS)


@pytest.mark.parametrize("change", [-1, 1])
def test_a_cycle_in_no_class_or_in_two_is_refused(network: CompiledNetwork, change: int) -> None:
    rows = made_rows(network)
    rows.cycles[3] += change
    with pytest.raises(HwgenError, match=r"descriptor 2 took \d+ cycles, \d+ of them are in a class"):
        cycle_rows(*events_of(rows), COUNTERS)


def test_a_start_with_more_classes_than_cycles_is_refused(network: CompiledNetwork) -> None:
    rows = made_rows(network)
    rows.cycles[0] -= UNCOUNTED + 1
    with pytest.raises(HwgenError, match="start"):
        cycle_rows(*events_of(rows), COUNTERS)


def test_counters_never_fall(network: CompiledNetwork) -> None:
    rows = made_rows(network)
    rows.counts[4] -= 60
    rows.counts[5] += 60
    with pytest.raises(HwgenError, match="backwards"):
        cycle_rows(*events_of(rows), COUNTERS)


def late(rows: CycleRows, cycles: int) -> CycleRows:
    """The rows of a monitor that looks ``cycles`` issues too late."""
    counts, busy = rows.counts.copy(), rows.counters.index("busy")
    counts[1:-1, busy] += cycles
    counts[2:, busy] -= cycles
    return dataclasses.replace(rows, counts=counts)


def test_wrong_attribution_is_refused(network: CompiledNetwork) -> None:
    rows = made_rows(network)
    assert rows_of(rows, network)["descriptors"] == list(range(len(network.descriptors)))
    moved = dataclasses.replace(rows, counts=np.vstack([rows.counts[:1], np.roll(rows.counts[1:-1], 1, axis=0),
                                                        rows.counts[-1:]]))
    for broken in (moved, late(rows, 1)):
        with pytest.raises(HwgenError, match=r"issued \d+ pixels, planned are \d+"):
            rows_of(broken, network)
    short = dataclasses.replace(rows, cycles=rows.cycles[1:], counts=rows.counts[1:])
    with pytest.raises(HwgenError, match="descriptors, the program has"):
        rows_of(short, network)


def test_a_unit_beside_the_array_adds_up() -> None:
    network = compile_network(beside_network(), WINDOW)
    rows = made_rows(network)
    assert len(rows.beside) >= 2
    text, registers = events_of(rows)
    found = cycle_rows(text, registers, COUNTERS)
    assert np.array_equal(found.beside, rows.beside)
    positions = [n for n, d in enumerate(network.descriptors) if d.window]
    assert rows_of(found, network)["beside"] == dict(zip(map(str, positions), rows.beside.tolist(), strict=True))
    lines = text.splitlines(keepends=True)
    last = max(n for n, line in enumerate(lines) if line.startswith("beside"))
    with pytest.raises(HwgenError, match="descriptors beside the array took"):
        cycle_rows("".join(lines[:last] + lines[last + 1:]), registers, COUNTERS)
    with pytest.raises(HwgenError, match="the unit beside the array ran"):
        rows_of(dataclasses.replace(found, beside=found.beside[1:]), network)


def beside_network() -> Graph:
    """Expand, depthwise, project, pool, classifier."""
    builder = GraphBuilder(np.random.default_rng(4), (8, 12, 12))
    wide = builder.conv("input", 32, (1, 1))
    deep = builder.conv(wide, 32, (3, 3), groups=32)
    narrow = builder.conv(deep, 16, (1, 1))
    pooled = builder.max_pool(narrow, (2, 2), (2, 2))
    builder.conv(builder.avg_pool(pooled), 10, (1, 1), raw=True)
    return builder.graph("beside")


@pytest.mark.slow
def test_simulated_rows_with_a_unit_beside_the_array(tmp_path: Path) -> None:
    graph = beside_network()
    network = compile_network(graph, WINDOW)
    path = tmp_path / "model.img"
    path.write_bytes(build_image(network, sealer_for(network, KEY)))
    inputs = random_image(np.random.default_rng(5), graph, 2)
    result = run_job(WINDOW, path, list(inputs), key=KEY.reveal(), memory=MemoryTiming(bytes_per_cycle=16), seed=3)
    words = [d.window_words for d in network.descriptors if d.window]
    for frame, wanted in zip(result.frames, run_all(graph, inputs)[graph.output], strict=True):
        assert frame.error == 0 and frame.rows is not None and frame.output is not None
        assert np.array_equal(frame.output.reshape(wanted.shape), wanted)
        rows_of(frame.rows, network)
        assert frame.rows.beside.sum() == frame.counters["window_busy"] > 0
        assert all(0 < busy <= most for busy, most in zip(frame.rows.beside, words, strict=True))
        assert frame.rows.counts[:, COUNTERS.index("stall_window")].sum() == frame.counters["stall_window"]


@pytest.mark.slow
def test_simulated_rows(network: CompiledNetwork, tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).normal(size=(3, 3, 8, 8)).astype(np.float32)
    inputs = integer_inputs(quantised(residual_network((16, 24), 8, tt=True)), pixels)
    path = tmp_path / "model.img"
    path.write_bytes(build_image(network, sealer_for(network, KEY)))
    result = run_job(CONFIG, path, list(inputs), key=KEY.reveal(), memory=MemoryTiming(bytes_per_cycle=16), seed=3)
    drain = COUNTERS.index("stall_drain")
    drains = np.array([ComputeFlag.DRAIN in d.flags for d in network.descriptors])
    for frame in result.frames:
        assert frame.error == 0 and frame.rows is not None
        rows = frame.rows
        rows_of(rows, network)
        assert rows.cycles.sum() == frame.counters["cycles"]
        assert rows.counts.sum(axis=0).tolist() == [frame.counters[name] for name in COUNTERS]
        # a wait for the pipeline is in the row of the descriptor that waits
        waits = rows.counts[1:-1, drain]
        assert (waits[drains][1:] > 0).all() and (waits <= pipeline_latency(CONFIG)).all()
        # what lies before the first pixel is the start's, what comes behind the last one the end's
        assert rows.counts[0, COUNTERS.index("busy")] == rows.counts[-1, COUNTERS.index("busy")] == 0
        assert abs(int(rows.cycles[0]) - frame.counters["first_busy"]) <= 4
        assert rows.cycles[-1] > pipeline_latency(CONFIG)
    first, second, third = (frame.rows for frame in result.frames if frame.rows is not None)
    assert network.resident
    assert first.cycles[0] > second.cycles[0]  # keys, program, weights
    assert np.array_equal(second.counts, third.counts)
    with pytest.raises(HwgenError, match="planned are"):
        rows_of(late(first, 1), network)
