"""Decides which lowered nodes become one quantised node: convolution + residual add + activation."""

from __future__ import annotations

from dataclasses import dataclass

from hwgen.ir import nodes as ir
from hwgen.ir.nodes import Activation, Graph, Node


@dataclass(frozen=True, kw_only=True)
class Fused:
    """One quantised node to be.

    Args:
        name: of the quantised node (that of the convolution, pool, ... at its heart).
        node: the lowered node at its heart.
        tensor: name of the lowered tensor that it produces (after add and activation).
        inputs: lowered tensors that it reads: the data, then the residual of a convolution.
        activation: clamp that it applies.
    """

    name: str
    node: Node
    tensor: str
    inputs: tuple[str, ...]
    activation: Activation


def fuse(graph: Graph) -> tuple[Fused, ...]:
    """Groups a lowered graph, in executable order."""
    depth = _depths(graph)
    absorbed: dict[str, ir.Conv2d | ir.TTConv2d] = {}  # Add -> convolution that absorbs it
    taken: set[str] = set()
    for node in graph.nodes:
        if isinstance(node, ir.Add):
            choice = _absorbing_conv(graph, node, depth)
            if choice is not None:
                absorbed[node.name] = choice
                taken.add(choice.name)
    found: list[Fused] = []
    for node in graph.nodes:
        if isinstance(node, ir.Relu | ir.Relu6) or node.name in taken:
            continue
        activation, tensor = _activation(graph, node)
        heart: Node = absorbed.get(node.name, node)
        inputs = node.inputs
        if heart is not node:
            residual = node.inputs[1] if node.inputs[0] == heart.name else node.inputs[0]
            inputs = (heart.inputs[0], residual)
        found.append(Fused(name=heart.name, node=heart, tensor=tensor, inputs=inputs, activation=activation))
    return tuple(found)


def _depths(graph: Graph) -> dict[str, int]:
    """Convolutions on the longest path from the input to each tensor."""
    depth: dict[str, int] = {}
    for node in graph.nodes:
        own = 1 if isinstance(node, ir.Conv2d | ir.TTConv2d) else 0
        depth[node.name] = own + max((depth[i] for i in node.inputs), default=0)
    return depth


def _absorbing_conv(graph: Graph, add: ir.Add, depth: dict[str, int]) -> ir.Conv2d | ir.TTConv2d | None:
    """The operand that computes the sum: a convolution nobody else reads; of two, the end of the longer path."""
    if add.inputs[0] == add.inputs[1]:
        return None
    candidates = [
        node for node in (graph[i] for i in add.inputs)
        if isinstance(node, ir.Conv2d | ir.TTConv2d) and len(graph.consumers(node.name)) == 1
        and graph.output != node.name
    ]
    return max(candidates, key=lambda n: depth[n.name], default=None)


def _activation(graph: Graph, node: Node) -> tuple[Activation, str]:
    """The activation absorbed after ``node`` and the tensor that results (lowering made sure that it can be)."""
    consumers = graph.consumers(node.name)
    if len(consumers) == 1 and graph.output != node.name:
        if isinstance(consumers[0], ir.Relu):
            return Activation.RELU, consumers[0].name
        if isinstance(consumers[0], ir.Relu6):
            return Activation.RELU6, consumers[0].name
    return Activation.NONE, node.name
