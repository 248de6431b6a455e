"""Folds batch normalisation into the layer before it."""

from __future__ import annotations

import dataclasses

import numpy as np

from hwgen.ir import nodes as ir
from hwgen.ir.nodes import Graph, Node
from hwgen.passes.rewrite import rebuild

Foldable = ir.Conv2d | ir.TTConv2d | ir.Linear | ir.TTLinear


def fold_batchnorm(graph: Graph) -> Graph:
    """Removes every BatchNorm node of a float graph.

    After a Conv2d, TTConv2d (last core), Linear or TTLinear without other consumers its factor and offset per output
    channel are multiplied into the layer, which keeps its name. Anywhere else it becomes a 1x1 depthwise convolution
    (or diagonal Linear) with the BatchNorm's name.
    """
    nodes: dict[str, Node] = {}
    renamed: dict[str, str] = {}
    for node in graph.nodes:
        if not isinstance(node, ir.BatchNorm):
            nodes[node.name] = node
            continue
        factor, offset = batchnorm_affine(node)
        source = renamed.get(node.inputs[0], node.inputs[0])
        producer = nodes[source]
        # a producer that already absorbed another BatchNorm has that one's consumers: ask for the name as read here
        alone = len(graph.consumers(node.inputs[0])) == 1 and graph.output != node.inputs[0]
        if isinstance(producer, Foldable) and alone:
            nodes[source] = _scaled(producer, factor, offset)
            renamed[node.name] = source
        else:
            nodes[node.name] = _diagonal(node, factor, offset)
    return rebuild(graph, nodes.values(), renamed)


def batchnorm_affine(node: ir.BatchNorm) -> tuple[np.ndarray, np.ndarray]:
    """(factor, offset), float64 [C], with ``y = factor * x + offset``."""
    factor = node.gamma.astype(np.float64) / np.sqrt(node.var.astype(np.float64) + node.eps)
    return factor, node.beta - node.mean * factor


def _scaled(node: Foldable, factor: np.ndarray, offset: np.ndarray) -> Node:
    bias = (node.bias * factor + offset).astype(np.float32)
    match node:
        case ir.Conv2d():
            weight = (node.weight * factor[:, None, None, None]).astype(np.float32)
            return dataclasses.replace(node, weight=weight, bias=bias)
        case ir.Linear():
            return dataclasses.replace(node, weight=(node.weight * factor[:, None]).astype(np.float32), bias=bias)
    last = (node.cores[-1] * factor[:, None]).astype(np.float32)  # [..., O, 1]
    return dataclasses.replace(node, cores=(*node.cores[:-1], last), bias=bias)


def _diagonal(node: ir.BatchNorm, factor: np.ndarray, offset: np.ndarray) -> Node:
    weight, bias = factor.astype(np.float32), offset.astype(np.float32)
    if len(node.shape) == 1:
        return ir.Linear(name=node.name, inputs=node.inputs, shape=node.shape, weight=np.diag(weight), bias=bias)
    return ir.Conv2d(
        name=node.name, inputs=node.inputs, shape=node.shape, weight=weight[:, None, None, None], bias=bias,
        groups=len(weight),
    )
