"""The verifier: which nodes and values are legal at which stage of the pipeline."""

from __future__ import annotations

from enum import StrEnum

import numpy as np

from hwgen.errors import HwgenError
from hwgen.ir import nodes as ir
from hwgen.ir.nodes import Graph, Node, Requantise, TTExecution
from hwgen.ir.shapes import infer_shape


class Stage(StrEnum):
    """Points of the pipeline at which a graph has a defined form."""

    FLOAT = "float"  #: from a front end or a compression pass
    PLANNED = "planned"  #: BatchNorm folded, every TT layer's execution fixed
    QUANTISED = "quantised"  #: integers only


_LEGAL: dict[Stage, tuple[type[Node], ...]] = {
    Stage.FLOAT: ir.FLOAT_NODES,
    Stage.PLANNED: tuple(t for t in ir.FLOAT_NODES if t is not ir.BatchNorm),
    Stage.QUANTISED: ir.QUANTISED_NODES,
}


def verify(graph: Graph, stage: Stage | str) -> Graph:
    """Returns ``graph`` unchanged if it is a legal graph of ``stage``.

    Raises:
        HwgenError: names the first offending node and what is allowed.
    """
    stage = Stage(stage)
    _verify_structure(graph, stage)
    shapes: dict[str, ir.Shape] = {}
    for node in graph.nodes:
        shape = infer_shape(node, [shapes[name] for name in node.inputs])
        if shape != node.shape:
            raise HwgenError(f"shape {node.shape} is stated", where=_where(node), allowed=f"{shape}")
        shapes[node.name] = shape
        if stage is Stage.QUANTISED:
            _verify_quantised(node, graph)
        else:
            _verify_float(node, stage)
    return graph


def _where(node: Node) -> str:
    return f"{node.name} ({node.op})"


def _verify_structure(graph: Graph, stage: Stage) -> None:
    legal = _LEGAL[stage]
    seen: set[str] = set()
    for index, node in enumerate(graph.nodes):
        if not isinstance(node, legal):
            raise HwgenError(
                f"{node.op} is not legal in a {stage} graph", where=_where(node),
                allowed=", ".join(t.__name__ for t in legal),
            )
        if not node.name or node.name in seen:
            raise HwgenError("the name is empty or not unique", where=_where(node))
        for name in node.inputs:
            if name not in seen:
                late = any(other.name == name for other in graph.nodes)
                problem = "is produced later (order is not topological)" if late else "does not exist"
                raise HwgenError(f"input {name!r} {problem}", where=_where(node))
        if isinstance(node, ir.Input | ir.QInput) != (index == 0):
            raise HwgenError("a graph has exactly one input, its first node", where=_where(node))
        seen.add(node.name)
    if graph.output not in seen:
        raise HwgenError(f"output {graph.output!r} does not exist", where=f"graph {graph.name}")


def _verify_float(node: Node, stage: Stage) -> None:
    for label, array in _arrays(node):
        if array.dtype != np.float32:
            raise HwgenError(f"{label} is {array.dtype}", where=_where(node), allowed="float32")
        if not np.isfinite(array).all():
            raise HwgenError(f"{label} holds NaN or infinite values", where=_where(node), allowed="finite values")
    if isinstance(node, ir.Conv2d | ir.Linear | ir.TTConv2d | ir.TTLinear) and node.bias.shape != (node.shape[0],):
        raise HwgenError(f"bias of shape {node.bias.shape}", where=_where(node), allowed=f"({node.shape[0]},)")
    if isinstance(node, ir.BatchNorm) and (node.var < 0).any():
        raise HwgenError("negative variance", where=_where(node))
    if stage is Stage.PLANNED and isinstance(node, ir.TTConv2d | ir.TTLinear):
        allowed = (TTExecution.CHAIN, TTExecution.MIXED, TTExecution.RECONSTRUCT)
        if node.execution not in allowed:
            raise HwgenError(
                f"execution {node.execution.value!r}", where=_where(node), allowed=", ".join(e.value for e in allowed),
                hint="run the plan pass first",
            )


def _arrays(node: Node) -> list[tuple[str, np.ndarray]]:
    found: list[tuple[str, np.ndarray]] = []
    for label, value in vars(node).items():
        values = value if isinstance(value, tuple) else (value,)
        found.extend((label, array) for array in values if isinstance(array, np.ndarray))
    return found


def _integers(node: Node, label: str, array: np.ndarray, dtype: type, bounds: tuple[int, int]) -> None:
    if array.dtype != dtype:
        raise HwgenError(f"{label} is {array.dtype}", where=_where(node), allowed=np.dtype(dtype).name)
    if array.size and (array.min() < bounds[0] or array.max() > bounds[1]):
        raise HwgenError(
            f"{label} spans {array.min()}..{array.max()}", where=_where(node), allowed=f"{bounds[0]}..{bounds[1]}"
        )


def _verify_requantise(node: Node, requantise: Requantise, channels: int, label: str = "requantise") -> None:
    for field, bounds in (("multiplier", (0, 65535)), ("residual_multiplier", (0, 65535)), ("shift", (1, 47))):
        array: np.ndarray = getattr(requantise, field)
        if array.shape != (channels,):
            raise HwgenError(f"{label}.{field} of shape {array.shape}", where=_where(node), allowed=f"({channels},)")
        _integers(node, f"{label}.{field}", array, np.int64, bounds)
    if not -128 <= requantise.lo <= requantise.hi <= 127:
        raise HwgenError(
            f"{label} clamps to {requantise.lo}..{requantise.hi}", where=_where(node), allowed="within -128..127"
        )


def _verify_scale(node: Node, scale: float) -> None:
    if not (np.isfinite(scale) and scale > 0):
        raise HwgenError(f"scale {scale}", where=_where(node), allowed="a positive number")


def _verify_quantised(node: Node, graph: Graph) -> None:
    if isinstance(node, ir.QConv2d):
        _verify_conv(node, graph)
        return
    assert isinstance(node, ir.QInput | ir.QMaxPool | ir.QAvgPool | ir.QAdd | ir.QConcat | ir.QFlatten)
    _verify_scale(node, node.scale)
    for name in node.inputs:
        _verify_int8_source(node, graph, name)
    if isinstance(node, ir.QAvgPool | ir.QAdd):
        _verify_requantise(node, node.requantise, node.shape[0])
    if isinstance(node, ir.QMaxPool | ir.QConcat | ir.QFlatten):
        for name in node.inputs:
            scale = getattr(graph[name], "scale", None)
            if scale != node.scale:
                raise HwgenError(
                    f"input {name!r} has scale {scale}", where=_where(node),
                    allowed=f"{node.scale}: this node does no arithmetic",
                )


def _verify_int8_source(node: Node, graph: Graph, name: str) -> None:
    source = graph[name]
    if isinstance(source, ir.QConv2d) and source.requantise is None:
        raise HwgenError(f"input {name!r} is raw int32", where=_where(node), allowed="int8 tensors")


def _verify_conv(node: ir.QConv2d, graph: Graph) -> None:
    channels = node.shape[0]
    for name in node.inputs:
        _verify_int8_source(node, graph, name)
    if isinstance(node.weight, ir.ReconstructedKernel):
        _verify_reconstruction(node, node.weight)
    else:
        _integers(node, "weight", node.weight, np.int8, (-127, 127))
    if node.bias.shape != (channels,):
        raise HwgenError(f"bias of shape {node.bias.shape}", where=_where(node), allowed=f"({channels},)")
    _integers(node, "bias", node.bias, np.int32, (-(2**31), 2**31 - 1))
    if node.requantise is None:
        if node.name != graph.output or graph.consumers(node.name):
            raise HwgenError("raw int32 results feed another node", where=_where(node), allowed="the last layer only")
        if len(node.inputs) != 1:
            raise HwgenError("a raw output cannot add a residual", where=_where(node))
        if node.raw_scale is None or node.raw_scale.shape != (channels,) or not (node.raw_scale > 0).all():
            raise HwgenError("raw_scale is missing or not positive", where=_where(node), allowed=f"({channels},)")
        return
    _verify_scale(node, node.scale)
    _verify_requantise(node, node.requantise, channels)
    if len(node.inputs) == 1 and node.requantise.residual_multiplier.any():
        raise HwgenError("a residual multiplier without a residual", where=_where(node), allowed="zeros")


def _verify_reconstruction(node: ir.QConv2d, kernel: ir.ReconstructedKernel) -> None:
    out, channels, kernel_h, kernel_w = kernel.shape
    if node.groups != 1:
        raise HwgenError(f"a reconstructed kernel with {node.groups} groups", where=_where(node), allowed="1")
    _integers(node, "first", kernel.first, np.int8, (-127, 127))
    if kernel.first.ndim < 2 or kernel.first.shape[0] != out:
        raise HwgenError(f"first of shape {kernel.first.shape}", where=_where(node), allowed=f"[{out}, ..., r]")
    rank = kernel.first.shape[-1]
    columns = kernel.first.size // (out * rank)
    for index, step in enumerate(kernel.steps):
        label = f"steps[{index}]"
        _integers(node, f"{label}.core", step.core, np.int8, (-127, 127))
        if step.core.ndim < 2 or step.core.shape[0] != rank:
            raise HwgenError(f"{label}.core of shape {step.core.shape}", where=_where(node), allowed=f"[{rank}, ...]")
        flat = step.core.size // rank
        _verify_requantise(node, step.requantise, flat, f"{label}.requantise")
        if step.requantise.lo < -127:
            raise HwgenError(f"{label} clamps to {step.requantise.lo}", where=_where(node), allowed="-127 or more")
        last = index == len(kernel.steps) - 1
        rank = 1 if last else step.core.shape[-1]
        columns *= flat // rank
    if columns != channels * kernel_h * kernel_w:
        raise HwgenError(
            f"the cores contract to {columns} values per output channel", where=_where(node),
            allowed=f"{channels * kernel_h * kernel_w}",
        )
