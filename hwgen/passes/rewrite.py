"""Building a changed graph from an old one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from hwgen.errors import HwgenError
from hwgen.ir.nodes import Graph, Node


def rebuild(graph: Graph, nodes: Iterable[Node], renamed: Mapping[str, str] | None = None) -> Graph:
    """``graph`` with other nodes; every reference to a key of ``renamed`` now reads its value (followed to its end)."""
    renamed = renamed or {}

    def final(name: str) -> str:
        while name in renamed:
            name = renamed[name]
        return name

    kept = tuple(
        dataclasses.replace(n, inputs=tuple(final(i) for i in n.inputs)) if any(i in renamed for i in n.inputs) else n
        for n in nodes
    )
    return Graph(name=graph.name, nodes=kept, output=final(graph.output), labels=graph.labels)


def layer(graph: Graph, name: str, kinds: tuple[type[Node], ...], what: str) -> Node:
    """Node ``name`` if it is one of ``kinds``; HwgenError with the names that would have been accepted."""
    for node in graph.nodes:
        if node.name == name and isinstance(node, kinds):
            return node
    names = [n.name for n in graph.nodes if isinstance(n, kinds)]
    raise HwgenError(f"no {what} named {name!r}", where=f"graph {graph.name}", allowed=", ".join(names) or "none here")
