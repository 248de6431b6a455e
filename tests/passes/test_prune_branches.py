"""Branches of residual additions: which there are, and what is computed without them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hwgen.errors import HwgenError
from hwgen.ir import nodes as ir
from hwgen.ir.execute import run_float
from hwgen.ir.nodes import Graph
from hwgen.passes.prune_branches import branches, remove_branch
from tests.helpers.networks import quantised, residual_network

X = np.random.default_rng(0).normal(size=(4, 3, 8, 8)).astype(np.float32)


def outputs(graph: Graph) -> np.ndarray:
    return run_float(graph, X)[graph.output]


def zeroed(graph: Graph, layer: str) -> Graph:
    """The layer's outputs all 0."""
    nodes = [dataclasses.replace(n, weight=0 * n.weight, bias=0 * n.bias)
             if n.name == layer and isinstance(n, ir.Conv2d) else n for n in graph.nodes]
    return dataclasses.replace(graph, nodes=tuple(nodes))


def test_operands_with_layers_are_branches() -> None:
    graph = residual_network((8, 12), 8)
    assert {name: branch.layers for name, branch in branches(graph).items()} == {
        "b0.add/b0.conv2": ("b0.conv1", "b0.conv2"), "b1.add/b1.conv2": ("b1.conv1", "b1.conv2"),
        "b1.add/b1.short": ("b1.short",)}  # the first shortcut has no layer of its own


@pytest.mark.parametrize("tt", [False, True])
@pytest.mark.parametrize("name", ["b0.add/b0.conv2", "b1.add/b1.conv2", "b1.add/b1.short"])
def test_the_other_operand_passes_alone(name: str, tt: bool) -> None:
    graph = residual_network((8, 12), 8, tt=tt, seed=2)
    branch = branches(graph)[name]
    smaller = remove_branch(graph, name)
    assert {n.name for n in graph.nodes} - {n.name for n in smaller.nodes} >= {branch.addition, *branch.layers}
    if not tt:  # a train's last core would have to be zero
        np.testing.assert_allclose(outputs(smaller), outputs(zeroed(graph, branch.operand)), rtol=1e-5, atol=1e-6)
    with pytest.raises(HwgenError, match="no branch"):
        remove_branch(smaller, name)
    assert quantised(smaller).output == graph.output  # and the rest of the tool takes it


def test_shared_layers_stay() -> None:
    """A layer that something else reads, too, does not go with a branch."""
    graph = residual_network((8,), 8)
    nodes = list(graph.nodes)
    at = next(i for i, node in enumerate(nodes) if node.name == "b0.relu2")
    nodes.insert(at, ir.Add(name="again", inputs=("b0.add", "b0.relu1"), shape=nodes[at].shape))
    nodes[at + 1] = dataclasses.replace(nodes[at + 1], inputs=("again",))
    shared = dataclasses.replace(graph, nodes=tuple(nodes))
    assert branches(shared)["b0.add/b0.conv2"].layers == ("b0.conv2",)
    assert "b0.conv1" in {n.name for n in remove_branch(shared, "b0.add/b0.conv2").nodes}
    both = branches(shared)["again/b0.add"]  # everything behind b0.relu1
    assert both.layers == ("b0.conv2",) and "b0.add" not in {n.name for n in remove_branch(shared, both.name).nodes}


def test_a_network_keeps_a_layer() -> None:
    conv = ir.Conv2d(name="c", inputs=("x",), shape=(3, 8, 8), weight=np.ones((3, 3, 1, 1), np.float32),
                     bias=np.zeros(3, np.float32))
    graph = Graph(name="g", nodes=(ir.Input(name="x", inputs=(), shape=(3, 8, 8)), conv,
                                   ir.Add(name="a", inputs=("c", "x"), shape=(3, 8, 8))), output="a")
    assert branches(graph) == {}
    with pytest.raises(HwgenError, match="none: no residual addition"):
        remove_branch(graph, "a/c")


def test_the_output_may_be_an_addition() -> None:
    graph = residual_network((8, 12), 8)
    graph = dataclasses.replace(graph, nodes=graph.nodes[:[n.name for n in graph.nodes].index("b1.add") + 1],
                                output="b1.add")
    smaller = remove_branch(graph, "b1.add/b1.conv2")
    assert smaller.output == "b1.short"
    np.testing.assert_array_equal(outputs(smaller), outputs(dataclasses.replace(graph, output="b1.short")))
