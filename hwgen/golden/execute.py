"""Runs a quantised graph, integer by integer."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

import numpy as np

from hwgen.golden import conv, pool
from hwgen.golden.requantise import requantise
from hwgen.ir import nodes as ir
from hwgen.ir.nodes import Graph, Node


def quantise_input(image: np.ndarray, scale: float) -> np.ndarray:
    """``clamp(floor(image / scale + 1/2), -128, 127)`` as int8, computed in float64; any shape."""
    return np.clip(np.floor(np.asarray(image, np.float64) / scale + 0.5), -128, 127).astype(np.int8)


def run(graph: Graph, images: np.ndarray) -> np.ndarray:
    """The output tensor for int8 ``images`` [N, C, H, W]: int32 (raw) or int8 [N, *output shape]."""
    return run_all(graph, images, keep=(graph.output,))[graph.output]


def expand_kernels(graph: Graph) -> Graph:
    """``graph`` with every on-chip reconstructed kernel replaced by its int8 values, for repeated runs."""
    nodes = tuple(
        dataclasses.replace(node, weight=conv.reconstruct(node.weight))
        if isinstance(node, ir.QConv2d) and isinstance(node.weight, ir.ReconstructedKernel) else node
        for node in graph.nodes
    )
    return dataclasses.replace(graph, nodes=nodes)


def run_all(graph: Graph, images: np.ndarray, keep: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """Tensors of a quantised graph for a batch.

    Args:
        graph: quantised.
        images: int8 [N, *input shape].
        keep: names of the tensors to return; None: all of them.

    Returns:
        Tensor name -> int8 (int32 for a raw output) [N, *shape].

    Raises:
        ValueError: images of another shape or type.
    """
    source = graph.input_node()
    if images.dtype != np.int8 or images.shape[1:] != source.shape:
        raise ValueError(f"images must be int8 [N, {', '.join(map(str, source.shape))}], not {images.dtype} "
                         f"{images.shape}")
    last_use = {name: index for index, node in enumerate(graph.nodes) for name in node.inputs}
    values: dict[str, np.ndarray] = {}  # channels last
    results: dict[str, np.ndarray] = {}
    for index, node in enumerate(graph.nodes):
        if isinstance(node, ir.QInput):
            value = np.ascontiguousarray(np.moveaxis(images, 1, -1))
        else:
            value = _evaluate(node, [values[name] for name in node.inputs])
        values[node.name] = value
        if keep is None or node.name in keep:
            results[node.name] = np.moveaxis(value, -1, 1)
        for name in node.inputs:
            if last_use[name] == index:
                values.pop(name, None)
    return results


def _evaluate(node: Node, inputs: list[np.ndarray]) -> np.ndarray:
    x = inputs[0]
    match node:
        case ir.QConv2d():
            kernel = node.weight
            weight = conv.reconstruct(kernel) if isinstance(kernel, ir.ReconstructedKernel) else kernel
            acc = conv.conv2d(x, weight, node.bias, stride=node.stride, padding=node.padding, dilation=node.dilation,
                              groups=node.groups)
            if node.requantise is None:
                return acc
            return requantise(acc, node.requantise, inputs[1] if len(inputs) == 2 else None)
        case ir.QMaxPool():
            return pool.max_pool(x, node.kernel, node.stride, node.padding)
        case ir.QAvgPool():
            return requantise(pool.window_sum(x, node.kernel, node.stride, node.padding), node.requantise)
        case ir.QAdd():
            return requantise(x, node.requantise, inputs[1])
        case ir.QConcat():
            return np.concatenate(inputs, axis=-1)
        case ir.QFlatten():
            return np.moveaxis(x, -1, 1).reshape(x.shape[0], -1)
    raise ValueError(f"{node.name}: {node.op} is not a quantised node")
