"""From a quantised graph to the stages that it needs, each as small as can be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hwgen.compiler.lower import spatial
from hwgen.config.pipeline import INPUT, StageConfig, StageKind
from hwgen.errors import HwgenError
from hwgen.ir import nodes as ir
from hwgen.ir.nodes import Graph, Node, Padding, Pair

HINT = "--style engine builds an accelerator that runs every network"


def stages_of(graph: Graph) -> tuple[StageConfig, ...]:
    """A stage per node that computes something, with one multiplier each.

    Raises:
        HwgenError: names the node that no stage can do.
    """
    names, found = {}, []
    for node in graph.nodes:
        if isinstance(node, ir.QInput):
            names[node.name] = INPUT
        elif isinstance(node, ir.QFlatten):
            if spatial(graph[node.inputs[0]].shape, node.name)[1:] != (1, 1):
                raise HwgenError("a map that is flattened for a node that is no convolution", where=node.name,
                                 hint=HINT)
            names[node.name] = names[node.inputs[0]]
        else:
            found.append(_stage(graph, node, names))
            names[node.name] = node.name
    if not found or not found[-1].raw or found[-1].name != names[graph.output]:
        raise HwgenError("does not end in a convolution whose sums leave the accelerator", where=graph.output)
    for stage in found[:-1]:
        if stage.raw:
            raise HwgenError("its sums leave unrequantised, but it is not the last node", where=stage.name)
    return tuple(found)


def _stage(graph: Graph, node: Node, names: dict[str, str]) -> StageConfig:
    """The stage of a node."""
    channels, height, width = spatial(graph[node.inputs[0]].shape, node.name)
    out_channels, out_height, out_width = spatial(node.shape, node.name)
    rule, raw, residual = getattr(node, "requantise", None), False, ""
    kernel: Pair = (1, 1)
    stride: Pair = (1, 1)
    padding: Padding = (0, 0, 0, 0)
    if isinstance(node, ir.QConv2d):
        if node.dilation != (1, 1):
            raise HwgenError(f"dilation {node.dilation}", where=node.name, allowed="1 in a streaming pipeline",
                             hint=HINT)
        if isinstance(node.weight, ir.ReconstructedKernel):
            raise HwgenError("a kernel that is contracted on the chip", where=node.name,
                             allowed="in a streaming pipeline: tensor trains as chains", hint=HINT)
        kernel, stride, padding = (node.weight.shape[2], node.weight.shape[3]), node.stride, node.padding
        depthwise = node.groups == channels == out_channels and node.groups > 1 and rule is not None
        kind, raw = StageKind.DEPTHWISE if depthwise else StageKind.DENSE, rule is None
        residual = names[node.inputs[1]] if node.inputs[1:] else ""
    elif isinstance(node, ir.QMaxPool | ir.QAvgPool):
        kind = StageKind.MAXIMUM if isinstance(node, ir.QMaxPool) else StageKind.SUM
        kernel, stride, padding = node.kernel, node.stride, node.padding
    elif isinstance(node, ir.QAdd):
        kind, residual = StageKind.SUM, names[node.inputs[1]]
    else:
        raise HwgenError(f"a {node.op}, which a streaming pipeline has no stage for", where=node.name, hint=HINT)
    whole = (height, width) != (1, 1) and kernel == (height, width) and not any(padding)
    return StageConfig(
        name=node.name, kind=kind, source=names[node.inputs[0]], residual=residual, channels=channels, height=height,
        width=width, out_channels=out_channels, out_height=out_height, out_width=out_width, kernel=kernel,
        stride=(1, 1) if whole else stride, padding=padding, whole=whole, raw=raw,
        residual_queue=4 if residual else 0)


def dense_weight(node: ir.QConv2d) -> np.ndarray:
    """int8 [O, I, Kh, Kw]: groups, which a stage does not know, spelled out with zeros."""
    weight = node.weight
    assert isinstance(weight, np.ndarray)
    if node.groups == 1:
        return weight
    out, inner = weight.shape[:2]
    full = np.zeros((out, inner * node.groups, *weight.shape[2:]), np.int8)
    for channel in range(out):
        group = channel // (out // node.groups)
        full[channel, group * inner:(group + 1) * inner] = weight[channel]
    return full


def folded(stage: StageConfig, pe: int, simd: int) -> StageConfig:
    """``stage`` with ``pe`` x ``simd`` values a step, and the fewest requantisation lanes that keep up."""
    trial = replace(stage, pe=pe, simd=simd, lanes=pe)
    lanes = next(n for n in range(1, pe + 1) if pe % n == 0 and pe // n <= trial.slices)
    return replace(trial, lanes=lanes)
