"""Every tensor is there when it is read, and not longer."""

from __future__ import annotations

import weakref

from hwgen.ir.walk import output_of, walk
from tests.helpers.networks import residual_network


class Tensor:
    """Something that shows when it is dropped."""

    def __init__(self, name: str) -> None:
        self.name = name


def test_inputs_come_in_order_and_are_freed_after_their_last_reader() -> None:
    graph = residual_network()
    alive: weakref.WeakValueDictionary[str, Tensor] = weakref.WeakValueDictionary()

    def compute(node, inputs):
        assert tuple(t.name for t in inputs) == node.inputs
        made = Tensor(node.name)
        alive[node.name] = made
        return made

    most, seen = 0, []
    for node, value in walk(graph, compute):
        assert value.name == node.name
        seen.append(node.name)
        most = max(most, len(alive))
    assert seen == [node.name for node in graph.nodes]
    assert most == 3  # both sides of a residual block and what is computed from them
    assert len(graph.nodes) > 3 * most


def test_output() -> None:
    graph = residual_network()
    assert output_of(graph, lambda node, _: node.name) == graph.output
