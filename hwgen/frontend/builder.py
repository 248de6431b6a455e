"""Common ground of the front ends: a graph under construction, with unique names, shapes and checked weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hwgen.errors import HwgenError
from hwgen.ir import nodes as ir
from hwgen.ir.nodes import Graph, Node, Padding, Pair, Shape
from hwgen.ir.shapes import infer_shape
from hwgen.ir.verify import Stage, verify

SUPPORTED = (
    "convolution (any kernel, stride, zero padding, dilation, groups), tensor-train convolution (hwgen::tt_conv2d), "
    "linear, batch normalisation, ReLU, ReLU6, max pooling, average pooling (fixed divisor), global average pooling, "
    "add, concatenation of channels, flatten/reshape before the classifier, dropout and identity"
)


def weights(value: Any, where: str, what: str = "weight") -> np.ndarray:
    """``value`` as a contiguous float32 array.

    Raises:
        HwgenError: not float32, or with NaN or infinite values.
    """
    array = np.asarray(value)
    if array.dtype != np.float32:
        raise HwgenError(
            f"{what} is {array.dtype}", where=where, allowed="float32", hint="export the network in float32"
        )
    if not np.isfinite(array).all():
        bad = int((~np.isfinite(array)).sum())
        raise HwgenError(f"{what} holds {bad} NaN or infinite values", where=where, allowed="finite values")
    return np.ascontiguousarray(array)


class GraphBuilder:
    """Collects nodes in topological order; every ``add`` infers and checks the shape."""

    def __init__(self) -> None:
        self._nodes: list[Node] = []
        self._shapes: dict[str, Shape] = {}

    def unique(self, name: str) -> str:
        """``name``, or ``name_1``, ``name_2``, ... if it is taken."""
        candidate, count = name, 0
        while candidate in self._shapes:
            count += 1
            candidate = f"{name}_{count}"
        return candidate

    def shape(self, name: str) -> Shape:
        """Shape of a tensor added before."""
        return self._shapes[name]

    def add(self, kind: type[Node], name: str, inputs: Sequence[str], **fields: Any) -> str:
        """Appends a node and returns its (unique) name; HwgenError if the inputs do not fit."""
        name = self.unique(name)
        draft = kind(name=name, inputs=tuple(inputs), shape=(), **fields)
        shape = infer_shape(draft, [self._shapes[i] for i in inputs])
        self._append(kind(name=name, inputs=tuple(inputs), shape=shape, **fields))
        return name

    def add_input(self, name: str, shape: Shape) -> str:
        """Appends the network input."""
        name = self.unique(name)
        self._append(ir.Input(name=name, inputs=(), shape=shape))
        return name

    def replace_last(self, node: Node) -> None:
        """Replaces the node that was added last (same name and shape), to fold a constant into it."""
        self._nodes[-1] = node

    def last(self) -> Node:
        """The node that was added last."""
        return self._nodes[-1]

    def add_relu(self, name: str, source: str) -> str:
        """Appends max(x, 0)."""
        return self.add(ir.Relu, name, [source])

    def add_clamp(self, name: str, source: str, low: float, high: float) -> str:
        """Appends clamp(x, low, high) as ReLU or ReLU6; HwgenError for other bounds."""
        if low == 0 and high == 6:
            return self.add(ir.Relu6, name, [source])
        if low == 0 and high >= np.finfo(np.float32).max:
            return self.add(ir.Relu, name, [source])
        raise HwgenError(f"clamp to [{low:g}, {high:g}]", where=name, allowed="[0, 6] (ReLU6) or [0, inf] (ReLU)")

    def add_avg_pool(
        self, name: str, source: str, *, kernel: Pair, stride: Pair, padding: Padding, count_include_pad: bool
    ) -> str:
        """Appends an average pool of fixed divisor; HwgenError when the divisor would vary at the border."""
        if any(padding) and not count_include_pad:
            raise HwgenError(
                "average pooling whose divisor varies at the border (count_include_pad = 0 with padding)", where=name,
                allowed="a fixed divisor: count_include_pad = 1, or no padding",
            )
        shape = self.shape(source)
        if kernel == shape[1:] and not any(padding):
            return self.add(ir.GlobalAvgPool, name, [source])
        return self.add(ir.AvgPool, name, [source], kernel=kernel, stride=stride, padding=padding)

    def add_global_avg_pool(self, name: str, source: str, keep_dims: bool) -> str:
        """Appends the mean over H and W, as (C, 1, 1) or flattened to (C,)."""
        pooled = self.add(ir.GlobalAvgPool, name, [source])
        return pooled if keep_dims else self.add(ir.Flatten, f"{pooled}.flatten", [pooled])

    def add_reshape(self, name: str, source: str, target: Sequence[int]) -> str:
        """Appends a reshape to ``target`` (without batch): nothing, or a Flatten; HwgenError for anything else.

        One entry of ``target`` may be -1.
        """
        shape = self.shape(source)
        size = int(np.prod(shape))
        resolved = list(target)
        if resolved.count(-1) == 1:
            known = int(np.prod([d for d in resolved if d != -1]))
            resolved[resolved.index(-1)] = size // known if known else 0
        if tuple(resolved) == shape:
            return source
        if tuple(resolved) == (size,):
            return self.add(ir.Flatten, name, [source])
        raise HwgenError(
            f"reshape of {shape} to {tuple(target)}", where=name, allowed=f"flattening to ({size},), batch axis first"
        )

    def finish(self, name: str, output: str, labels: tuple[str, ...] = ()) -> Graph:
        """The verified graph, without nodes that do not reach the output."""
        alive = {output}
        for node in reversed(self._nodes):
            if node.name in alive:
                alive.update(node.inputs)
        nodes = tuple(n for n in self._nodes if n.name in alive or isinstance(n, ir.Input))
        return verify(Graph(name=name, nodes=nodes, output=output, labels=labels), Stage.FLOAT)

    def _append(self, node: Node) -> None:
        self._nodes.append(node)
        self._shapes[node.name] = node.shape
