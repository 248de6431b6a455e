"""The analytic cycle model against the compiler's own count, and the timeline against both."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hwgen.compiler.compile import compile_network
from hwgen.config.accelerator import AcceleratorConfig
from hwgen.cost.arrays import ConfigTable
from hwgen.cost.cycles import pipeline_latencies, work_cost
from hwgen.cost.limit import limit_cycles
from hwgen.cost.memory import MemoryModel
from hwgen.cost.network import network_cost
from hwgen.cost.timeline import predict
from hwgen.cost.work import network_work
from hwgen.ir.nodes import Graph
from rtl_templates.engine.timing import pipeline_latency
from tests.helpers.networks import quantised, residual_network

CONFIGS = [
    AcceleratorConfig(),
    AcceleratorConfig(p_i=16, p_o=32, acc_depth=128),
    AcceleratorConfig(p_i=16, p_o=16),
    AcceleratorConfig(p_i=8, p_o=16, acc_depth=2048, act_words=32768),
    AcceleratorConfig(p_i=64, p_o=64, line_columns=2),
]
MEMORY = MemoryModel(bytes_per_cycle=40, latency=100)


@pytest.fixture(scope="module", params=[False, True], ids=["dense", "tt"])
def networks(request: pytest.FixtureRequest) -> tuple[Graph, Graph]:
    graph = residual_network((32, 64), 16, tt=request.param)
    return graph, quantised(graph)


def test_pipeline_latency_is_the_engines() -> None:
    table = ConfigTable.of(CONFIGS)
    assert list(pipeline_latencies(table, CONFIGS[0].packing)) == [pipeline_latency(c) for c in CONFIGS]


def test_analytic_cycles_follow_the_compiler(networks: tuple[Graph, Graph]) -> None:
    work = network_work(networks[0])
    table = ConfigTable.of(CONFIGS)
    plain, lines = (np.sum([getattr(work_cost(w, table), name) for w in work.works], axis=0)
                    for name in ("cycles", "lines"))
    for row, config in enumerate(CONFIGS):
        compiled = compile_network(networks[1], config)
        drains = sum(layer.drains for layer in compiled.layers) * pipeline_latency(config)
        assert plain[row] == pytest.approx(compiled.issue_cycles - drains, rel=0.02)
        assert lines[row] == compiled.stream_lines


def test_whole_network_follows_the_timeline(networks: tuple[Graph, Graph]) -> None:
    table = ConfigTable.of(CONFIGS)
    cost = network_cost(network_work(networks[0]), table, MEMORY, CONFIGS[0].packing)
    for row, config in enumerate(CONFIGS):
        exact = predict(compile_network(networks[1], config), MEMORY)
        assert cost.steady[row] == pytest.approx(exact.steady.cycles, rel=0.2)
        assert cost.cold[row] == pytest.approx(exact.cold.cycles, rel=0.2)


def test_timeline_is_consistent(networks: tuple[Graph, Graph]) -> None:
    network = compile_network(networks[1], CONFIGS[0])
    cold = predict(network, MEMORY).cold
    assert len(cold.spans) == len(network.descriptors)
    for before, after in zip(cold.spans, cold.spans[1:], strict=False):
        assert after.start >= before.end
    assert cold.cycles > cold.spans[-1].end
    assert sum(s.issue for s in cold.spans) <= cold.cycles
    slow = predict(network, MemoryModel(bytes_per_cycle=2, latency=100)).cold
    assert slow.cycles > 1.5 * cold.cycles


def test_small_ring_costs_cycles_every_frame() -> None:
    graph = quantised(residual_network((64, 128), 8))
    big, small = (predict(compile_network(graph, AcceleratorConfig(weight_lines=n)), MEMORY) for n in (24576, 512))
    assert small.steady.cycles > big.steady.cycles
    assert small.cold.cycles >= 0.98 * big.cold.cycles  # smaller segments are released a little sooner


def test_equal_rows_are_worked_out_once_and_equal() -> None:
    table = ConfigTable.of([CONFIGS[0], CONFIGS[1], CONFIGS[0]])
    cost = network_cost(network_work(residual_network()), table, MEMORY, CONFIGS[0].packing)
    assert cost.cold[0] == cost.cold[2] != cost.cold[1]


def test_config_table_round_trip() -> None:
    table = ConfigTable.of(CONFIGS)
    for row, config in enumerate(CONFIGS):
        assert table.config(row, AcceleratorConfig()) == config
    assert {f.name for f in dataclasses.fields(table)} > {"p_i", "act_ultra"}
    picked = table.take(np.array([2, 0]))
    assert list(picked.p_i) == [16, 32]


def test_limit_of_a_buffer() -> None:
    assert limit_cycles([(100, 0), (50, 1000)], 10, 1e9) == 150
    assert limit_cycles([(10, 0), (10, 1000)], 10, 1e9) == 100
    # of the second operation's weights only a buffer full can be there when it begins
    assert limit_cycles([(100, 0), (1, 1000)], 10, 200) == pytest.approx(180, abs=2)
    # a long stretch of compute, then more weights than the buffer prefetches (dense ResNet-18 at 32x32)
    assert limit_cycles([(200e3, 2.8e6), (68e3, 8.3e6)], 40, 3e6) == pytest.approx(200e3 + 5.3e6 / 40, rel=0.02)
