"""Rows of descriptors become layers whose parts add up, and a row in the wrong layer shows."""

from __future__ import annotations

import dataclasses
from dataclasses import asdict
from typing import Any

import pytest

from hwgen.compiler.compile import compile_network
from hwgen.compiler.result import CompiledNetwork
from hwgen.cost.usage import layer_usages
from hwgen.ir.nodes import Graph, TTExecution
from hwgen.report.breakdown import LOSSES, frame_breakdown, loss_title, predicted_cycles
from hwgen.verify.rows import rows_of
from tests.helpers.emulate import config_for
from tests.helpers.measured import UNCOUNTED, made_rows
from tests.helpers.networks import quantised, residual_network

CONFIG = config_for(8, 16)
RATES = (CONFIG.array_macs_per_cycle, CONFIG.macs_per_cycle)


@pytest.fixture(scope="module", params=list(TTExecution)[:2], ids=lambda e: e.name.lower())
def compiled(request: pytest.FixtureRequest) -> tuple[CompiledNetwork, list[dict[str, Any]]]:
    graph: Graph = quantised(residual_network((16, 24), 8, tt=True), execution=request.param)
    network = compile_network(graph, CONFIG)
    usages = layer_usages(network, graph)
    return network, [{**asdict(layer), "usage": asdict(usages[layer.node])} for layer in network.layers]


def test_layers_start_and_end_are_the_frame(compiled: tuple[CompiledNetwork, list[dict[str, Any]]]) -> None:
    network, layers = compiled
    made = made_rows(network)
    frame, rows = frame_breakdown(rows_of(made, network), layers, RATES)
    everything = [frame["start"], *rows, frame["end"]]
    assert sum(row["cycles"] for row in everything) == frame["cycles"] == made.cycles.sum()
    for k, name in enumerate(made.counters):
        assert sum(row[name] for row in everything) == made.counts[:, k].sum()
    assert frame["start"]["cycles"] == made.counts[0].sum() + UNCOUNTED
    assert [row["busy"] for row in rows] == [layer["slots"] for layer in layers]


def test_losses_are_what_is_above_the_ideal(compiled: tuple[CompiledNetwork, list[dict[str, Any]]]) -> None:
    network, layers = compiled
    _, rows = frame_breakdown(rows_of(made_rows(network), network), layers, RATES)
    for row, layer in zip(rows, layers, strict=True):
        ideal = layer["macs"] / CONFIG.macs_per_cycle
        assert sum(row["lost"].values()) == pytest.approx(row["cycles"] - ideal)
        assert all(cycles > -1e-6 for cycles in row["lost"].values())
        assert row["lost"]["swap"] + row["lost"]["memory"] == row["stall_weights"]
        assert row["lost"]["swap"] <= layer["usage"]["swap"]
        assert row["efficiency"] == (pytest.approx(ideal / row["cycles"]) if ideal else None)


def test_a_cycle_counts_where_its_descriptor_is(compiled: tuple[CompiledNetwork, list[dict[str, Any]]]) -> None:
    network, layers = compiled
    made = made_rows(network)
    _, before = frame_breakdown(rows_of(made, network), layers, RATES)
    stall = made.counters.index("stall_act")
    for position in (0, len(network.descriptors) - 1):
        cycles, counts = made.cycles.copy(), made.counts.copy()
        cycles[position + 1] += 1000
        counts[position + 1, stall] += 1000
        longer = dataclasses.replace(made, cycles=cycles, counts=counts)
        _, after = frame_breakdown(rows_of(longer, network), layers, RATES)
        for layer, old, new in zip(layers, before, after, strict=True):
            grown = 1000 if position in layer["descriptors"] else 0
            assert new["stall_act"] - old["stall_act"] == new["cycles"] - old["cycles"] == grown
            assert new["lost"]["stall_act"] - old["lost"]["stall_act"] == grown


def test_a_unit_beside_the_array_counts_in_the_ideal(compiled: tuple[CompiledNetwork, list[dict[str, Any]]]) -> None:
    network, layers = compiled
    rows = rows_of(made_rows(network), network)
    rates = (RATES[0], 2 * RATES[0])
    for row, layer in zip(frame_breakdown(rows, layers, rates)[1], layers, strict=True):
        assert row["lost"]["idle_units"] == layer["macs"] / rates[1]
        assert sum(row["lost"].values()) == pytest.approx(row["cycles"] - layer["macs"] / rates[1])


def test_layers_without_rows_have_no_cycles(compiled: tuple[CompiledNetwork, list[dict[str, Any]]]) -> None:
    network, layers = compiled
    idle = {**layers[0]["usage"], "array": 0, "idle_inputs": 0.0, "idle_pixels": 0.0, "without_macs": 0}
    beside = {**layers[0], "node": "beside", "shape": "window", "descriptors": (10**6,), "usage": idle}
    _, rows = frame_breakdown(rows_of(made_rows(network), network), [*layers, beside], RATES)
    assert rows[-1]["cycles"] == 0 and rows[-1]["efficiency"] is None
    assert sum(rows[-1]["lost"].values()) == pytest.approx(-beside["macs"] / RATES[1])


def test_predictions_are_attributed_like_measurements() -> None:
    spans = [{"start": 100, "end": 150}, {"start": 120, "end": 140}, {"start": 170, "end": 200}]
    layers = [{"shape": "normal", "descriptors": (0,)}, {"shape": "window", "descriptors": (1,)},
              {"shape": "pair", "descriptors": (2,)}]
    assert predicted_cycles(spans, layers) == [50, 20, 50]


def test_titles() -> None:
    assert loss_title("stall_act") == LOSSES["stall_act"]
    assert loss_title("stall_something_new") == "stall something new"
