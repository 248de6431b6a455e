"""Depth pruning: removes what a residual addition adds, so that its other operand passes alone."""

from __future__ import annotations

from dataclasses import dataclass

from hwgen.errors import HwgenError
from hwgen.ir import nodes as ir
from hwgen.ir.nodes import Graph
from hwgen.ir.verify import Stage, verify
from hwgen.passes.prune_channels import Layer
from hwgen.passes.rewrite import rebuild


@dataclass(frozen=True, kw_only=True)
class Branch:
    """An operand of an addition that can be left out.

    Args:
        name: ``addition/operand``.
        addition: the node; operand: its input that goes; other: its input that stays.
        layers: that nothing else reads and that go with it, in the graph's order.
    """

    name: str
    addition: str
    operand: str
    other: str
    layers: tuple[str, ...]


def branches(graph: Graph) -> dict[str, Branch]:
    """By name: every operand of an addition whose removal takes layers with it, and leaves some. A shortcut without
    layers is none."""
    found, every = {}, {node.name for node in graph.nodes if isinstance(node, Layer)}
    for node in graph.nodes:
        if isinstance(node, ir.Add):
            for operand, other in (node.inputs, node.inputs[::-1]):
                gone = every - _read(graph, {node.name: other})
                layers = tuple(n.name for n in graph.nodes if n.name in gone)
                if layers and gone != every and operand != other:
                    name = f"{node.name}/{operand}"
                    found[name] = Branch(name=name, addition=node.name, operand=operand, other=other, layers=layers)
    return found


def remove_branch(graph: Graph, name: str) -> Graph:
    """The float graph without the branch: what read the addition reads its other operand.

    Raises:
        HwgenError: no such branch.
    """
    known = branches(graph)
    if name not in known:
        raise HwgenError(f"no branch {name!r}", where="prune", allowed=", ".join(known) or "none: no residual addition")
    passed = {known[name].addition: known[name].other}
    kept = _read(graph, passed)
    return verify(rebuild(graph, (node for node in graph.nodes if node.name in kept), passed), Stage.FLOAT)


def _read(graph: Graph, passed: dict[str, str]) -> set[str]:
    """Names of the nodes that the output depends on where additions pass what ``passed`` says."""
    start = passed.get(graph.output, graph.output)
    seen, waiting = {start}, [start]
    while waiting:
        sources = {passed.get(source, source) for source in graph[waiting.pop()].inputs} - seen
        seen |= sources
        waiting += sources
    return seen
