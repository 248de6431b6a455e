"""GRAIL: exact where the removed channels are linear in the kept ones, and better than nothing elsewhere."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from hwgen.armor.groups import groups, shrink
from hwgen.armor.repair import reconstruction, shrink_and_repair
from hwgen.ir import nodes as ir
from hwgen.ir.execute import run_float
from hwgen.ir.nodes import Graph
from hwgen.passes.prune_ranks import bonds
from tests.helpers.networks import residual_network

RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 3, 8, 8)).astype(np.float32)


def outputs(graph: Graph, x: np.ndarray = X) -> np.ndarray:
    return run_float(graph, x)[graph.output]


def test_reconstruction_of_a_dependent_channel() -> None:
    h = RNG.normal(size=(5, 400))
    h[4] = 2 * h[0] - h[2]
    kept = np.array([True, True, True, True, False])
    found = reconstruction(h @ h.T / 400, kept, ridge=1e-9)
    np.testing.assert_allclose(found[:4], np.eye(4), atol=1e-6)
    np.testing.assert_allclose(found[4], [2, 0, -1, 0], atol=1e-6)


@pytest.mark.parametrize("tt", [False, True])
@pytest.mark.parametrize("name", ["stem", "b1.conv1"])
def test_duplicated_channels_are_removed_without_a_trace(name: str, tt: bool) -> None:
    """Channels 0 and 1 made twins (in every layer of their group): without 1, the repaired network computes the
    same."""
    graph = residual_network((8, 12), 8, tt=tt, seed=3)
    group = next(g for g in groups(graph) if name in g.layers)
    nodes = []
    for node in graph.nodes:
        if node.name in group.layers and isinstance(node, ir.Conv2d):
            weight = node.weight.copy()
            weight[1] = weight[0]
            nodes.append(dataclasses.replace(node, weight=weight))
        elif node.name in group.layers and isinstance(node, ir.TTConv2d):
            last = node.cores[-1].copy()
            last[:, 1] = last[:, 0]
            nodes.append(dataclasses.replace(node, cores=(*node.cores[:-1], last)))
        else:
            nodes.append(node)
    twins = dataclasses.replace(graph, nodes=tuple(nodes))
    repaired = shrink_and_repair(twins, {group.name: [1]}, [torch.from_numpy(X)], ridge=1e-7)
    np.testing.assert_allclose(outputs(repaired), outputs(twins), rtol=2e-2, atol=2e-3)
    plain = outputs(shrink(twins, {group.name: [1]}))
    assert np.abs(plain - outputs(twins)).max() > 20 * np.abs(outputs(repaired) - outputs(twins)).max()


def test_repair_lowers_the_error() -> None:
    graph = residual_network((8, 16), 8, tt=True, seed=1)
    fresh = np.random.default_rng(9).normal(size=(16, 3, 8, 8)).astype(np.float32)
    expected = outputs(graph, fresh)
    for removed in ({"stem": [2, 5]}, {"b1.conv1": [0, 1, 2, 3]}, {"b1.conv2:1": [0, 3]}):
        plain, repaired = shrink(graph, removed), shrink_and_repair(graph, removed, [torch.from_numpy(X)])
        errors = [float(((outputs(g, fresh) - expected) ** 2).mean()) for g in (plain, repaired)]
        assert errors[1] < 0.9 * errors[0], removed
        assert bonds(plain) == bonds(repaired)
        assert [n.shape for n in plain.nodes] == [n.shape for n in repaired.nodes]


def test_branches_go_beside_repaired_channels() -> None:
    graph = residual_network((8, 12), 8, seed=3)
    batches = [torch.from_numpy(X)]
    name = "b1.add/b1.conv2"
    assert_same = np.testing.assert_array_equal
    assert_same(outputs(shrink_and_repair(graph, {name: (0,)}, batches)), outputs(shrink(graph, {name: (0,)})))
    both = shrink_and_repair(graph, {name: (0,), "b0.conv1": (1, 2)}, batches)
    assert_same(outputs(both), outputs(shrink(shrink_and_repair(graph, {"b0.conv1": (1, 2)}, batches), {name: (0,)})))
    assert both["b0.conv1"].shape[0] == 6 and len(both.nodes) < len(graph.nodes)
