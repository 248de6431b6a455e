"""BatchNorm put back behind the convolutions of a network that has been folded, so that it can be trained again.

A folded network has the scale of every channel in its kernels; a step of a size that trained the network with BatchNorm
can destroy it. The inverse of folding: kernels whose outputs have unit spread, and a BatchNorm with the statistics of
the present network, so that the function stays the same. ``hwgen.passes.fold_batchnorm`` takes it out again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from hwgen.ir import nodes as ir
from hwgen.ir.nodes import Graph, Node
from hwgen.ir.walk import output_of
from hwgen.passes.rewrite import rebuild
from hwgen.train.graph_module import GraphModule

#: of the inserted nodes, as torch's default; also the smallest variance that a kernel is divided by
EPSILON = 1e-5

Convolution = ir.Conv2d | ir.TTConv2d
Layer = ir.Conv2d | ir.TTConv2d | ir.Linear | ir.TTLinear


def insert_batchnorm(graph: Graph, batches: Iterable[Tensor]) -> Graph:
    """The same function with a BatchNorm node (``<layer>/batchnorm``) behind every convolution but the classifier's.

    Args:
        graph: float, BatchNorm folded.
        batches: normalised images [N, *input shape], by which mean and variance of every channel are measured.
    """
    wanted = {node.name for node in graph.nodes if isinstance(node, Convolution)} - classifiers(graph)
    nodes: list[Node] = []
    renamed: dict[str, str] = {}
    statistics = _statistics(graph, wanted, batches)
    for node in graph.nodes:
        if not isinstance(node, Convolution) or node.name not in wanted:
            nodes.append(node)
            continue
        layer, norm = _split(node, *statistics[node.name])
        nodes += [layer, norm]
        renamed[node.name] = norm.name
    return _reading(graph, nodes, renamed)


def classifiers(graph: Graph) -> set[str]:
    """Layers from which the output is reached without another layer: their outputs are the logits."""
    found: set[str] = set()
    waiting = [graph.output]
    while waiting:
        node = graph[waiting.pop()]
        if isinstance(node, Layer):
            found.add(node.name)
        else:
            waiting.extend(node.inputs)
    return found


def _statistics(graph: Graph, wanted: set[str], batches: Iterable[Tensor]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Layer -> (mean, variance) of its channels, float64 [C], over images and positions."""
    module = GraphModule(graph).eval()
    sums = {name: torch.zeros(3, graph[name].shape[0], dtype=torch.float64) for name in wanted}

    def watch(node: Node, inputs: list[Tensor], images: Tensor) -> Tensor:
        value = images if isinstance(node, ir.Input) else module.evaluate_node(node, inputs)
        if node.name in sums:
            channels = value.double().transpose(0, 1).flatten(1)  # [C, N * H * W]
            one = torch.full((channels.shape[0],), float(channels.shape[1]), dtype=torch.float64)
            sums[node.name] += torch.stack((one, channels.sum(1), channels.square().sum(1)))
        return value

    with torch.inference_mode():
        for images in batches:
            output_of(graph, lambda node, inputs, images=images: watch(node, inputs, images))
    found = {}
    for name, (count, total, squares) in sums.items():
        mean = total / count
        found[name] = mean.numpy(), (squares / count - mean.square()).clamp_min(0).numpy()
    return found


def _split(node: Convolution, mean: np.ndarray, variance: np.ndarray) -> tuple[Node, ir.BatchNorm]:
    """The layer with outputs of unit variance and no bias, and the BatchNorm that gives them back scale and bias."""
    deviation = np.sqrt(variance + EPSILON)
    left = variance / deviation**2
    gamma = deviation * np.sqrt(left + EPSILON)
    norm = ir.BatchNorm(
        name=f"{node.name}/batchnorm", inputs=(node.name,), shape=node.shape, gamma=gamma.astype(np.float32),
        beta=mean.astype(np.float32), mean=((mean - node.bias) / deviation).astype(np.float32),
        var=left.astype(np.float32), eps=EPSILON)
    bias = np.zeros_like(node.bias)
    if isinstance(node, ir.Conv2d):
        weight = (node.weight / deviation[:, None, None, None]).astype(np.float32)
        return dataclasses.replace(node, weight=weight, bias=bias), norm
    last = (node.cores[-1] / deviation[:, None]).astype(np.float32)  # [..., O, 1]
    return dataclasses.replace(node, cores=(*node.cores[:-1], last), bias=bias), norm


def _reading(graph: Graph, nodes: list[Node], renamed: dict[str, str]) -> Graph:
    """Everybody who read a layer reads the BatchNorm behind it, but for that BatchNorm."""
    changed = [node if isinstance(node, ir.BatchNorm) and node.name in renamed.values() else dataclasses.replace(
        node, inputs=tuple(renamed.get(name, name) for name in node.inputs)) for node in nodes]
    return rebuild(graph, changed)
