"""Pruning: the smaller network equals the original with the removed channels silenced."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from hwgen.errors import HwgenError
from hwgen.frontend import from_torch
from hwgen.ir import nodes as ir
from hwgen.ir.execute import run_float
from hwgen.passes.fold_batchnorm import fold_batchnorm
from hwgen.passes.prune_channels import channel_groups, prune_channels
from hwgen.passes.tensor_train import forms_by_rank, tensor_train

torch.set_num_threads(1)


class Net(nn.Module):
    """A residual pair, a depthwise convolution, a concatenation, a grouped convolution and a flattened map."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.bn = nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16)
        self.a, self.b = nn.Conv2d(16, 24, 3, padding=1), nn.Conv2d(24, 16, 3, padding=1)
        self.dw, self.pw = nn.Conv2d(16, 16, 3, padding=1, groups=16), nn.Conv2d(16, 12, 1)
        self.mix, self.grouped = nn.Conv2d(28, 20, 1), nn.Conv2d(20, 8, 3, groups=4)
        self.fc1, self.fc2 = nn.Linear(8 * 9, 32), nn.Linear(32, 5)

    def forward(self, x):
        x = self.bn(self.stem(x)).relu()
        x = (self.b(self.a(x).relu()) + x).relu()
        y = self.pw(self.dw(x).relu())
        x = self.mix(torch.cat([x, y], 1)).relu()
        x = nn.functional.max_pool2d(self.grouped(x), 2)
        return self.fc2(self.fc1(x.flatten(1)).relu())


@pytest.fixture(scope="module")
def graph() -> ir.Graph:
    torch.manual_seed(2)
    return from_torch(Net(), (3, 8, 8), "net")


X = np.random.default_rng(0).normal(size=(3, 3, 8, 8)).astype(np.float32)


def silenced(graph: ir.Graph, report) -> ir.Graph:
    """``graph`` with the weights and biases of removed channels set to zero."""
    nodes = []
    for node in graph.nodes:
        group = next((g for g in report if node.name in g.layers), None)
        if group is not None and isinstance(node, ir.Conv2d | ir.Linear):
            mask = np.zeros(node.shape[0], np.float32)
            mask[list(group.kept)] = 1
            weight = node.weight * mask.reshape(-1, *([1] * (node.weight.ndim - 1)))
            nodes.append(dataclasses.replace(node, weight=weight, bias=node.bias * mask))
        else:
            nodes.append(node)
    return dataclasses.replace(graph, nodes=tuple(nodes))


def test_groups_follow_the_dependencies(graph):
    groups = {g.layers: len(g.units) for g in channel_groups(graph)}
    assert groups == {("stem", "b", "dw"): 16, ("a",): 24, ("pw",): 12, ("fc1",): 32}


@pytest.mark.parametrize("keep", [0.5, 0.75, {"b": 5, "fc1": 8}])
def test_function_of_the_remaining_channels(graph, keep):
    folded = fold_batchnorm(graph)
    pruned = prune_channels(folded, keep, granule=4)
    expected = run_float(silenced(folded, pruned.groups), X)[folded.output]
    found = run_float(pruned.graph, X)[pruned.graph.output]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert pruned.after.macs < pruned.before.macs and pruned.after.parameters < pruned.before.parameters


def test_counts_are_multiples_of_the_granule(graph):
    pruned = prune_channels(graph, 0.3, granule=8)
    assert {g.name: g.after for g in pruned.groups} == {"stem": 8, "a": 8, "pw": 8, "fc1": 16}
    assert pruned.graph["bn"].shape[0] == 8
    dw = pruned.graph["dw"]
    assert isinstance(dw, ir.Conv2d) and dw.groups == 8 and dw.weight.shape == (8, 1, 3, 3)


def test_the_weakest_channels_go(graph):
    loud = fold_batchnorm(graph)
    node = loud["a"]
    assert isinstance(node, ir.Conv2d)
    weight = node.weight.copy()
    weight[[1, 4]] *= 1e-3
    changed = dataclasses.replace(
        loud, nodes=tuple(dataclasses.replace(n, weight=weight) if n is node else n for n in loud.nodes))
    pruned = prune_channels(changed, {"a": 22}, granule=1)
    (group,) = [g for g in pruned.groups if g.name == "a"]
    assert set(range(24)) - set(group.kept) == {1, 4}
    assert [g.after for g in pruned.groups if g.name != "a"] == [16, 12, 32]


def test_tensor_trains_shrink_too(graph):
    train = tensor_train(fold_batchnorm(graph), forms_by_rank(graph, 6, layers=["a", "b", "fc1"])).graph
    pruned = prune_channels(train, 0.5, granule=1)
    node = pruned.graph["a"]
    assert isinstance(node, ir.TTConv2d) and [c.shape for c in node.cores] == [(1, 8, 6), (6, 3, 3, 6), (6, 12, 1)]
    assert run_float(pruned.graph, X)[pruned.graph.output].shape == (3, 5)


def test_excluded_groups_stay_whole(graph):
    pruned = prune_channels(graph, 0.5, granule=1, exclude=["dw"])
    assert {g.name: g.after for g in pruned.groups} == {"stem": 16, "a": 12, "pw": 6, "fc1": 16}


def test_refusals(graph):
    with pytest.raises(HwgenError, match=r"share 0 of channels"):
        prune_channels(graph, 0)
    with pytest.raises(HwgenError, match=r"granule 0"):
        prune_channels(graph, 0.5, granule=0)
    with pytest.raises(HwgenError, match=r"(?s)no prunable layer named 'grouped'.*allowed: a, b, dw, fc1, pw, stem"):
        prune_channels(graph, {"grouped": 4})
    with pytest.raises(HwgenError, match=r"a: 25 channels to keep\n  allowed: 1\.\.24"):
        prune_channels(graph, {"a": 25})
