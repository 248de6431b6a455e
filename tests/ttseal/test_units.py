"""What counts as a unit: every core and kernel of the integer network, with its stored size."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hwgen.errors import HwgenError
from hwgen.ir.nodes import Graph, QConv2d
from hwgen.ttseal.units import bytes_of, is_structural, share_of, units_of
from tests.helpers.toy_attack import toy_graph


def test_every_core_is_a_unit() -> None:
    graph = toy_graph()
    units = {u.node: u for u in units_of(graph)}
    assert {n.name for n in graph.nodes if isinstance(n, QConv2d)} == set(units)
    cores = [u for u in units.values() if u.layer == "b1.conv2"]
    assert [u.node for u in cores] == ["b1.conv2.core0", "b1.conv2.core1", "b1.conv2.core2"]
    assert [u.shape for u in cores] == [(8, 16, 1, 1), (8, 8, 3, 3), (16, 8, 1, 1)]
    assert cores[1].parameters == 8 * 8 * 9
    assert cores[1].bytes == 8 * 8 * 9 + 16 * 8


def test_shares() -> None:
    units = units_of(toy_graph())
    everything = {u.node for u in units}
    assert share_of(units, everything) == 1
    assert share_of(units, ()) == 0
    assert bytes_of(units, everything) == sum(u.bytes for u in units)


def test_a_kernel_that_only_copies_is_no_secret() -> None:
    graph = toy_graph(tt=False)
    node = graph["b1.short"]
    assert isinstance(node, QConv2d) and isinstance(node.weight, np.ndarray) and node.requantise is not None
    assert not is_structural(node)
    weight = np.zeros_like(node.weight)
    weight[np.arange(8), np.arange(8)] = 127
    one = dataclasses.replace(node.requantise, multiplier=np.full(16, 1000), shift=np.full(16, 16))
    copy = dataclasses.replace(node, weight=weight, bias=np.zeros(16, np.int32), requantise=one)
    assert is_structural(copy)
    nodes = tuple(copy if n is node else n for n in graph.nodes)
    assert "b1.short" not in {u.node for u in units_of(dataclasses.replace(graph, nodes=nodes))}


def test_a_graph_without_weights() -> None:
    graph = toy_graph()
    with pytest.raises(HwgenError, match="no weights to encrypt"):
        units_of(Graph(name="empty", nodes=graph.nodes[:1], output=graph.nodes[0].name))
