"""Saliency against the definition: what the loss changes by when a unit is scaled down a little."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from scipy.special import rel_entr, softmax
from torch.nn import functional

from hwgen.armor.groups import groups, shrink
from hwgen.armor.saliency import METHODS, Damage, saliency
from hwgen.armor.trace import trace
from hwgen.ir import nodes as ir
from hwgen.ir.execute import run_float
from hwgen.ir.nodes import Graph
from hwgen.passes.prune_ranks import bonds, remove_ranks
from hwgen.passes.tensor_train import forms_by_rank, tensor_train
from hwgen.train.graph_module import GraphModule
from tests.helpers.networks import residual_network


def small(*, tt: bool = False) -> Graph:
    graph = residual_network((8, 12), 8, tt=tt)
    return tensor_train(graph, forms_by_rank(graph, 3, layers=["fc"])).graph if tt else graph


def batch(count: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(1)
    return torch.from_numpy(rng.normal(size=(count, 3, 8, 8)).astype(np.float32)), torch.arange(count) % 10


def losses(graph: Graph, x: torch.Tensor, y: torch.Tensor) -> np.ndarray:
    outputs = torch.from_numpy(run_float(graph, x.numpy())[graph.output]).double()
    return functional.cross_entropy(outputs, y, reduction="none").numpy()


def scaled(graph: Graph, layers: tuple[str, ...], channel: int, factor: float) -> Graph:
    """One output channel of each of ``layers`` times ``factor``."""
    nodes = []
    for node in graph.nodes:
        if node.name in layers and isinstance(node, ir.Conv2d):
            weight, bias = node.weight.copy(), node.bias.copy()
            weight[channel] *= factor
            bias[channel] *= factor
            nodes.append(dataclasses.replace(node, weight=weight, bias=bias))
        else:
            nodes.append(node)
    return dataclasses.replace(graph, nodes=tuple(nodes))


def test_taylor_is_the_derivative_of_the_loss() -> None:
    graph, (x, y) = small(), batch()
    found = saliency("taylor", graph, [(x, y)])
    assert found.keys() == {g.name for g in groups(graph)}
    for group in groups(graph):
        for unit in (0, group.size - 1):
            step = 1e-3
            up, down = (losses(scaled(graph, group.layers, unit, 1 + s), x, y) for s in (step, -step))
            expected = np.abs((up - down) / (2 * step)).mean()
            assert found[group.name].units[unit] == pytest.approx(expected, rel=0.03, abs=2e-4), (group.name, unit)


def test_damage_is_the_divergence_of_the_outputs() -> None:
    graph, (x, y) = small(), batch(6)
    group = next(g for g in groups(graph) if len(g.layers) == 1)
    damage = Damage(graph, [(x[:2], y[:2]), (x[2:], y[2:])])
    smaller = shrink(graph, {group.name: (0, 3)})
    before, after = (softmax(run_float(g, x.numpy())[g.output].astype(np.float64), axis=1) for g in (graph, smaller))
    assert damage(smaller) == pytest.approx(float(rel_entr(before, after).sum(axis=1).mean()), rel=1e-4)
    assert damage(graph) == 0.0


def test_squares_estimate_the_divergence() -> None:
    """To the second order it is half the mean square of the effects on the loss, over labels drawn by the network."""
    graph, (x, _) = small(), batch(3)
    group = next(g for g in groups(graph) if len(g.layers) == 1)
    share = softmax(run_float(graph, x.numpy())[graph.output].astype(np.float64), axis=1)
    expected = 0.0
    for label in range(10):
        found = saliency("guided", graph, [(x, torch.full((3,), label))])[group.name].effects
        assert found is not None
        expected += float((share[:, label] * found[:, 3] ** 2).mean()) / 2
    little = scaled(graph, group.layers, 3, 0.99)
    assert Damage(graph, [(x, torch.zeros(3))])(little) == pytest.approx(0.01**2 * expected, rel=0.1)


def test_guided_saliency_is_the_square_of_what_all_removed_units_do() -> None:
    graph, (x, y) = small(), batch(6)
    parts = [(x[:2], y[:2]), (x[2:], y[2:])]
    found, plain = saliency("guided", graph, parts), saliency("taylor", graph, parts)
    group, step = next(g for g in groups(graph) if len(g.layers) == 1), 1e-3
    effects = []
    for unit in (0, 3):
        up, down = (losses(scaled(graph, group.layers, unit, 1 + s), x, y) for s in (step, -step))
        effects.append((up - down) / (2 * step))
    mine, same = found[group.name], saliency("fisher", graph, parts)[group.name]
    assert same.of((0, 3)) == mine.of((0, 3)) and (same.units == mine.units).all()
    assert mine.units[3] == pytest.approx(float((effects[1] ** 2).mean()), rel=0.05, abs=1e-5)
    assert mine.of((0, 3)) == pytest.approx(float(((effects[0] + effects[1]) ** 2).mean()), rel=0.05, abs=1e-5)
    assert mine.of((3,)) == pytest.approx(mine.units[3]) and mine.of(()) == 0
    assert plain[group.name].of((0, 3)) == pytest.approx(plain[group.name].units[[0, 3]].sum())


def test_ranks_are_units_too() -> None:
    graph, (x, y) = small(tt=True), batch()
    found, known = saliency("taylor", graph, [(x, y)]), bonds(graph)
    assert known["fc:0"] == 3 and set(known) < set(found)
    for name in ("fc:0", "b1.conv1:1"):
        layer, _, bond = name.rpartition(":")
        step, sides = 1e-3, []
        for factor in (1 + step, 1 - step):
            nodes = []
            for node in graph.nodes:
                if node.name == layer:
                    assert isinstance(node, ir.TTConv2d | ir.TTLinear)
                    cores = [c.copy() for c in node.cores]
                    cores[int(bond)][..., 1] *= factor
                    nodes.append(dataclasses.replace(node, cores=tuple(cores)))
                else:
                    nodes.append(node)
            sides.append(losses(dataclasses.replace(graph, nodes=tuple(nodes)), x, y))
        expected = np.abs((sides[0] - sides[1]) / (2 * step)).mean()
        assert found[name].units[1] == pytest.approx(expected, rel=0.03, abs=2e-4)


def test_a_silent_unit_is_worth_nothing() -> None:
    graph = scaled(small(), ("b1.conv1",), 3, 0.0)
    for method in ("taylor", "l1"):
        values = saliency(method, graph, [batch()])["b1.conv1"].units
        assert values[3] == pytest.approx(0, abs=1e-12) and np.median(values) > 0


def test_all_methods_score_every_unit_the_same_way_again() -> None:
    graph = small(tt=True)
    sizes = {g.name: g.size for g in groups(graph)}
    for method in METHODS:
        found, again = (saliency(method, graph, [batch()], seed=3) for _ in range(2))
        assert {name: len(v.units) for name, v in found.items()} == sizes, method
        for name, values in ((name, v.units) for name, v in found.items()):
            assert np.isfinite(values).all() and (values >= 0).all() and values.max() > 0
            np.testing.assert_array_equal(values, again[name].units)
    other = saliency("random", graph, [], seed=4)
    assert any((other[name].units != saliency("random", graph, [], seed=3)[name].units).any() for name in other)


def test_trace_is_the_network() -> None:
    graph, (x, _) = small(tt=True), batch()
    seen: dict[str, tuple[int, ...]] = {}
    with torch.no_grad():
        outputs = trace(GraphModule(graph), x, visit=lambda name, value: seen.update({name: tuple(value.shape)}))
    np.testing.assert_allclose(outputs.numpy(), run_float(graph, x.numpy())["fc"], rtol=1e-4, atol=1e-5)
    assert seen["fc:0"] == (4, 3) and seen["b1.conv1:0"][1] == bonds(graph)["b1.conv1:0"]


def test_removed_ranks_are_those_whose_slices_are_zero() -> None:
    graph, (x, _) = small(tt=True), batch()
    nodes = []
    for node in graph.nodes:
        if node.name == "b1.conv1":
            assert isinstance(node, ir.TTConv2d)
            cores = [c.copy() for c in node.cores]
            cores[0][..., [0, 2]] = 0
            nodes.append(dataclasses.replace(node, cores=tuple(cores)))
        else:
            nodes.append(node)
    silent = dataclasses.replace(graph, nodes=tuple(nodes))
    smaller = remove_ranks(graph, {"b1.conv1:0": [0, 2]})
    assert bonds(smaller)["b1.conv1:0"] == bonds(graph)["b1.conv1:0"] - 2
    np.testing.assert_allclose(run_float(smaller, x.numpy())["fc"], run_float(silent, x.numpy())["fc"], rtol=1e-4,
                               atol=1e-5)
    both = shrink(graph, {"b1.conv1:0": [1], "b1.conv1": [0, 5]})
    assert bonds(both)["b1.conv1:0"] == bonds(graph)["b1.conv1:0"] - 1 and both["b1.conv1"].shape[0] == 10
