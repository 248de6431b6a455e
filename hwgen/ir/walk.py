"""Going through a graph in order, each tensor kept only as long as somebody reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from hwgen.ir.nodes import Graph, Node

T = TypeVar("T")


def walk(graph: Graph, compute: Callable[[Node, list[T]], T]) -> Iterator[tuple[Node, T]]:
    """Every node with its tensor, ``compute(node, tensors of its inputs)``."""
    last_use = {name: index for index, node in enumerate(graph.nodes) for name in node.inputs}
    values: dict[str, T] = {}
    for index, node in enumerate(graph.nodes):
        value = compute(node, [values[name] for name in node.inputs])
        values[node.name] = value
        yield node, value
        for name in node.inputs:
            if last_use[name] == index:
                values.pop(name, None)


def output_of(graph: Graph, compute: Callable[[Node, list[T]], T]) -> T:
    """The tensor of the graph's output."""
    return next(value for node, value in walk(graph, compute) if node.name == graph.output)
