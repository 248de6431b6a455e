"""The contraction orders of a network: never worse than one policy for all layers, and near what exhaustion finds."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from benchmarks.one_layer import Point, analytic, compiled_layer, one_layer
from hwgen.config.accelerator import AcceleratorConfig
from hwgen.cost.arrays import ConfigTable
from hwgen.cost.network import NetworkCost, network_cost
from hwgen.cost.timeline import MemoryModel, predict
from hwgen.cost.work import network_work
from hwgen.ir import nodes as ir
from hwgen.ir.nodes import Graph
from hwgen.search.orders import FEWEST_MACS, choose_orders, policies, variant_macs, with_orders
from tests.helpers.networks import residual_network

SMALL = AcceleratorConfig(p_i=8, p_o=16, acc_depth=128, act_words=1024, weight_lines=1024, axi_ports=1,
                          program_words=512)
CONFIGS = [AcceleratorConfig(), AcceleratorConfig(p_i=16, p_o=16, weight_lines=2048, axi_ports=1), SMALL]
RATES = [40.0, 4.0, 0.5]


def total(cost: NetworkCost) -> float:
    return float(cost.cold[0] + cost.steady[0])


def train_network(ranks: list[tuple[int, int]], seed: int = 0) -> Graph:
    """Strided TT layers of these ranks behind one another."""
    rng = np.random.default_rng(seed)
    channels, size = 16, 32
    nodes: list[ir.Node] = [ir.Input(name="x", inputs=(), shape=(channels, size, size))]
    for number, (r1, r2) in enumerate(ranks):
        size = (size + 1) // 2
        shapes = ((1, channels, r1), (r1, 3, 3, r2), (r2, 32, 1))
        cores = tuple(rng.normal(size=s).astype(np.float32) for s in shapes)
        nodes.append(ir.TTConv2d(name=f"t{number}", inputs=(nodes[-1].name,), shape=(32, size, size), cores=cores,
                                 grouping=("I", "HW", "O"), bias=np.zeros(32, np.float32), stride=(2, 2),
                                 padding=(1, 1, 1, 1)))
        channels = 32
    return Graph(name="trains", nodes=tuple(nodes), output=nodes[-1].name)


NETWORKS = {"residual": residual_network((16, 32), 16, tt=True), "wide first rank": train_network([(16, 8), (32, 8)]),
            "even ranks": train_network([(8, 8), (16, 16), (24, 24)])}


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("name", NETWORKS)
def test_never_worse_than_the_best_single_policy(name: str, rate: float) -> None:
    network, memory = network_work(NETWORKS[name]), MemoryModel(bytes_per_cycle=rate, latency=100)
    for config in CONFIGS:
        table = ConfigTable.of([config])
        found = choose_orders(network, table, memory, config.packing, total)
        single = [total(network_cost(with_orders(network, numbers), table, memory, config.packing))
                  for numbers in policies(network).values()]
        layer_by_layer = total(network_cost(network, table, memory, config.packing))
        assert total(found.cost) <= min(*single, layer_by_layer)
        again = network_cost(with_orders(network, found.numbers), table, memory, config.packing)
        assert total(again) == total(found.cost)


@pytest.mark.parametrize("rate", [8.0, 0.5])
def test_as_good_as_exhaustion(rate: float) -> None:
    network, memory = network_work(NETWORKS["wide first rank"]), MemoryModel(bytes_per_cycle=rate, latency=100)
    table = ConfigTable.of([SMALL])
    found = choose_orders(network, table, memory, SMALL.packing, total)
    names = list(network.variants)
    every = [dict(zip(names, numbers, strict=True))
             for numbers in itertools.product(*(range(len(network.variants[n])) for n in names))]
    best = min(total(network_cost(with_orders(network, n), table, memory, SMALL.packing)) for n in every)
    assert len(every) == 81 and total(found.cost) == best


def test_what_is_not_possible_is_not_chosen() -> None:
    network, memory = network_work(NETWORKS["wide first rank"]), MemoryModel(bytes_per_cycle=8, latency=100)
    table = ConfigTable.of([SMALL])
    free = choose_orders(network, table, memory, SMALL.packing, total)

    def value(cost: NetworkCost) -> float:
        return np.inf if cost.lines[0] == free.cost.lines[0] else total(cost)

    bound = choose_orders(network, table, memory, SMALL.packing, value)
    assert bound.numbers != free.numbers and total(free.cost) < value(bound.cost) < np.inf


def test_policies_of_networks() -> None:
    network = network_work(NETWORKS["even ranks"])
    found = policies(network)
    assert len(found) == 10 and {"chain", "mixed I+HW|O", "reconstruct I|HW|O", FEWEST_MACS} <= set(found)
    for name, variants in network.variants.items():
        macs = [variant_macs(v) for v in variants]
        assert macs[found[FEWEST_MACS][name]] == min(macs)
    assert policies(network_work(residual_network((16,), 8))) == {}


def test_multiply_accumulates_of_an_order() -> None:
    point = Point(channels_in=16, channels_out=32, ranks=(12, 8), size=8, stride=2, bytes_per_cycle=8)
    graph = one_layer(point)
    node = graph["layer"]
    assert isinstance(node, ir.TTConv2d)
    macs = {v.choice.order(node): variant_macs(v) for v in network_work(graph).variants["layer"]}
    inside, outside, r1, r2 = 16, 32, 12, 8
    chain = 64 * inside * r1 + 16 * (9 * r1 * r2 + r2 * outside)
    dense = 16 * 9 * inside * outside
    assert macs["I|HW|O"] == chain and macs["I·HW·O"] == dense
    assert macs["I+HW+O"] == dense + 9 * outside * (r2 * r1 + r1 * inside)
    assert macs["I+HW|O"] == 9 * r2 * r1 * inside + 16 * (9 * inside * r2 + r2 * outside)
    assert macs["I|HW+O"] == 64 * inside * r1 + 9 * r1 * r2 * outside + 16 * 9 * r1 * outside
    assert macs["I+HW·O"] == 9 * outside * r1 * inside + dense


@pytest.mark.parametrize(("ranks", "order"), [((8, 16), "I|HW|O"), ((16, 16), "I·HW|O")])
def test_the_order_changes_with_the_ranks(ranks: tuple[int, int], order: str) -> None:
    """In the search's choice and in the compiled programs alike."""
    point = Point(channels_in=32, channels_out=32, ranks=ranks, size=32, kernel=4, stride=4, bytes_per_cycle=8)
    graph, config = one_layer(point), SMALL.replace(act_words=16384)
    found = choose_orders(network_work(graph), ConfigTable.of([config]), point.memory, config.packing, total)
    layer, known = graph["layer"], analytic(point, config)
    assert isinstance(layer, ir.TTConv2d) and found.choices["layer"].order(layer) == order
    programs = {o: predict(compiled_layer(point, known[o][0], config), point.memory).cold.cycles
                for o in ("I|HW|O", "I·HW|O", "I+HW|O")}
    assert min(programs, key=lambda o: programs[o]) == order
