"""Lowers a planned graph to what the hardware knows: feature maps, convolutions, pools, adds and concatenations.

TT layers that run as chains become their convolutions, Linear becomes a convolution over the map that it flattens, and
activations move to where a producer can absorb them. The result is still a float graph of the same function.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from hwgen.errors import HwgenError
from hwgen.ir import nodes as ir
from hwgen.ir.nodes import Graph, Node, Shape
from hwgen.ir.shapes import infer_shape
from hwgen.ir.tt_chain import chain_nodes
from hwgen.ir.verify import Stage, verify
from hwgen.passes.rewrite import rebuild

_ABSORBS = (ir.Conv2d, ir.TTConv2d, ir.Add, ir.AvgPool)


@dataclass(frozen=True)
class Lowered:
    """A lowered float graph and, for every convolution in it, the layer that it came from."""

    graph: Graph
    origins: dict[str, str]


def lower(graph: Graph) -> Lowered:
    """Lowers a planned graph.

    Raises:
        HwgenError: a flattened map is added to or concatenated with one of another height and width.
    """
    verify(graph, Stage.PLANNED)
    lowered = _Lowering()
    for node in graph.nodes:
        lowered.visit(node)
    simple = rebuild(graph, lowered.nodes, lowered.renamed)
    return Lowered(_raw_output(_materialise(_hoist(simple))), lowered.origins)


class _Lowering:
    """Node by node: everything becomes an operator on maps (C, H, W)."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.shapes: dict[str, Shape] = {}
        self.renamed: dict[str, str] = {}
        self.origins: dict[str, str] = {}

    def visit(self, node: Node) -> None:
        inputs = tuple(self.renamed.get(i, i) for i in node.inputs)
        match node:
            case ir.Input():
                shape = node.shape if len(node.shape) == 3 else (*node.shape, 1, 1)
                self._emit(dataclasses.replace(node, shape=shape))
            case ir.Flatten():
                self.renamed[node.name] = inputs[0]
            case ir.Conv2d():
                self.origins[node.name] = node.name
                self._emit(dataclasses.replace(node, inputs=inputs))
            case ir.Linear():
                self.origins[node.name] = node.name
                _, height, width = self.shapes[inputs[0]]
                weight = node.weight.reshape(node.weight.shape[0], -1, height, width)
                self._emit(ir.Conv2d(name=node.name, inputs=(inputs[0],), shape=(), bias=node.bias,
                                     weight=np.ascontiguousarray(weight)))
            case ir.TTConv2d():
                self._tt(dataclasses.replace(node, inputs=inputs))
            case ir.TTLinear():
                self._tt(self._as_conv(node, inputs[0]))
            case ir.GlobalAvgPool():
                size = self.shapes[inputs[0]][1:]
                kernel = (size[0], size[1])
                self._emit(ir.AvgPool(name=node.name, inputs=inputs, shape=(), kernel=kernel, stride=(1, 1)))
            case _:
                self._other(node, inputs)

    def _as_conv(self, node: ir.TTLinear, source: str) -> ir.TTConv2d:
        channels, height, width = self.shapes[source]
        first = node.cores[0].reshape(1, channels, height, width, -1)
        return ir.TTConv2d(
            name=node.name, inputs=(source,), shape=(*node.shape, 1, 1), cores=(first, node.cores[1]),
            grouping=("IHW", "O"), bias=node.bias, execution=node.execution,
        )

    def _tt(self, node: ir.TTConv2d) -> None:
        members = chain_nodes(node)
        for member in members:
            self.origins[member.name] = node.name
            self._emit(member)
        if members[-1].name != node.name:
            self.renamed[node.name] = members[-1].name

    def _other(self, node: Node, inputs: tuple[str, ...]) -> None:
        maps = [self.shapes[i] for i in inputs]
        different = len({m[1:] for m in maps}) > 1 if isinstance(node, ir.Concat) else len(set(maps)) > 1
        if different and len(node.shape) == 1:
            raise HwgenError(
                f"{node.op} of flattened maps of shapes {', '.join(map(str, maps))}", where=node.name,
                allowed="maps of equal height and width", hint="pool the maps to 1x1 before flattening them",
            )
        self._emit(dataclasses.replace(node, inputs=inputs))

    def _emit(self, node: Node) -> None:
        if not isinstance(node, ir.Input):
            node = dataclasses.replace(node, shape=infer_shape(node, [self.shapes[i] for i in node.inputs]))
        self.nodes.append(node)
        self.shapes[node.name] = node.shape


def _sole_consumer(graph: Graph, name: str) -> bool:
    return len(graph.consumers(name)) == 1 and graph.output != name


def _not_negative(graph: Graph, name: str) -> bool:
    node = graph[name]
    if isinstance(node, ir.Relu | ir.Relu6):
        return True
    if isinstance(node, ir.MaxPool | ir.AvgPool | ir.Concat | ir.Add):
        return all(_not_negative(graph, i) for i in node.inputs)
    return False


def _hoist(graph: Graph) -> Graph:
    """Drops ReLUs of tensors that cannot be negative and moves activations before MaxPool and Concat."""
    while (changed := _hoist_one(graph)) is not None:
        graph = changed
    return graph


def _hoist_one(graph: Graph) -> Graph | None:
    for node in graph.nodes:
        if not isinstance(node, ir.Relu | ir.Relu6):
            continue
        source = graph[node.inputs[0]]
        if isinstance(node, ir.Relu) and _not_negative(graph, source.name):
            return rebuild(graph, (n for n in graph.nodes if n is not node), {node.name: source.name})
        if not (isinstance(source, ir.MaxPool | ir.Concat) and _sole_consumer(graph, source.name)):
            continue
        moved = []
        for index, name in enumerate(source.inputs):
            own = node.name if len(source.inputs) == 1 else f"{node.name}.{index}"
            moved.append(dataclasses.replace(node, name=own, inputs=(name,), shape=graph[name].shape))
        after = dataclasses.replace(source, inputs=tuple(m.name for m in moved))
        nodes: list[Node] = []
        for other in graph.nodes:
            if other is source:
                nodes += [*moved, after]
            elif other is not node:
                reads = tuple(after.name if i == node.name else i for i in other.inputs)
                nodes.append(dataclasses.replace(other, inputs=reads) if reads != other.inputs else other)
        output = after.name if graph.output == node.name else graph.output
        return Graph(name=graph.name, nodes=tuple(nodes), output=output, labels=graph.labels)
    return None


def _identity(name: str, source: Node) -> ir.Conv2d:
    channels = source.shape[0]
    return ir.Conv2d(
        name=name, inputs=(source.name,), shape=source.shape,
        weight=np.ones((channels, 1, 1, 1), np.float32), bias=np.zeros(channels, np.float32), groups=channels,
    )


def _fresh(graph: Graph, name: str) -> str:
    taken = {n.name for n in graph.nodes}
    while name in taken:
        name += "_"
    return name


def _materialise(graph: Graph) -> Graph:
    """Puts an identity convolution before every activation that its producer cannot absorb."""
    nodes: list[Node] = []
    for node in graph.nodes:
        if isinstance(node, ir.Relu | ir.Relu6):
            source = graph[node.inputs[0]]
            if not (isinstance(source, _ABSORBS) and _sole_consumer(graph, source.name)):
                carrier = _identity(_fresh(graph, f"{node.name}.identity"), source)
                nodes += [carrier, dataclasses.replace(node, inputs=(carrier.name,))]
                continue
        nodes.append(node)
    return rebuild(graph, nodes)


def _raw_output(graph: Graph) -> Graph:
    """Makes the output a convolution that nothing else reads, so that its accumulators can leave the accelerator."""
    last = graph[graph.output]
    if isinstance(last, ir.Conv2d | ir.TTConv2d) and not graph.consumers(last.name):
        return graph
    carrier = _identity(_fresh(graph, "output"), last)
    return Graph(name=graph.name, nodes=(*graph.nodes, carrier), output=carrier.name, labels=graph.labels)
