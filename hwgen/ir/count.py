"""Logical parameters and multiply-accumulates of a network.

Parameters are what is stored after BatchNorm has been folded: all weights or cores, and one bias per output channel of
a layer. MACs count multiplications of weights with activations for one image at logical channel counts; TT layers
count in chain form, however they execute, and padding or reconstruction earns nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwgen.ir import nodes as ir
from hwgen.ir.nodes import Graph, Shape
from hwgen.ir.shapes import tt_kernel_shape, window_count
from hwgen.ir.tt_chain import chain_convs


@dataclass(frozen=True, kw_only=True)
class LayerCount:
    """One layer: its own figures and those of the dense layer that it replaces."""

    name: str
    op: str
    parameters: int
    macs: int
    dense_parameters: int
    dense_macs: int


@dataclass(frozen=True, kw_only=True)
class Totals:
    """Sums over all layers of a graph."""

    parameters: int
    macs: int
    dense_parameters: int
    dense_macs: int


def count_layers(graph: Graph) -> tuple[LayerCount, ...]:
    """Figures of every layer that has weights, in graph order; float, planned or quantised graphs."""
    counted = (_count(graph, node) for node in graph.nodes)
    return tuple(c for c in counted if c is not None)


def count(graph: Graph) -> Totals:
    """Sums of ``count_layers``."""
    layers = count_layers(graph)
    return Totals(
        parameters=sum(c.parameters for c in layers), macs=sum(c.macs for c in layers),
        dense_parameters=sum(c.dense_parameters for c in layers), dense_macs=sum(c.dense_macs for c in layers),
    )


def _count(graph: Graph, node: ir.Node) -> LayerCount | None:
    match node:
        case ir.Conv2d():
            parameters = node.weight.size + node.bias.size
            macs = node.weight.size * _pixels(node.shape)
            return _layer(node, parameters, macs)
        case ir.Linear():
            return _layer(node, node.weight.size + node.bias.size, node.weight.size)
        case ir.TTConv2d():
            parameters = sum(core.size for core in node.cores) + node.bias.size
            dense = int(np.prod(tt_kernel_shape(node)))
            macs = tt_chain_macs(node, graph[node.inputs[0]].shape)
            return _layer(node, parameters, macs, dense + node.bias.size, dense * _pixels(node.shape))
        case ir.TTLinear():
            cores = sum(core.size for core in node.cores)
            dense = node.cores[0].shape[1] * node.cores[1].shape[1]
            return _layer(node, cores + node.bias.size, cores, dense + node.bias.size, dense)
        case ir.QConv2d():
            return _count_quantised(graph, node)
    return None


def _layer(node: ir.Node, parameters: int, macs: int, dense: int = -1, dense_macs: int = -1) -> LayerCount:
    return LayerCount(
        name=node.name, op=node.op, parameters=parameters, macs=macs,
        dense_parameters=parameters if dense < 0 else dense, dense_macs=macs if dense_macs < 0 else dense_macs,
    )


def _pixels(shape: Shape) -> int:
    return int(np.prod(shape[1:], dtype=np.int64))


def tt_chain_macs(node: ir.TTConv2d, input_shape: Shape) -> int:
    """MACs of a TT convolution run as a chain on a map of ``input_shape`` (C, H, W)."""
    _, height, width = input_shape
    total = 0
    for conv in chain_convs(node):
        padding, dilation = conv.padding, conv.dilation
        height = window_count(height, conv.weight.shape[2], conv.stride[0], padding[:2], dilation=dilation[0])
        width = window_count(width, conv.weight.shape[3], conv.stride[1], padding[2:], dilation=dilation[1])
        total += conv.weight.size * height * width
    return total


def _count_quantised(graph: Graph, node: ir.QConv2d) -> LayerCount:
    inner = any(isinstance(c, ir.QConv2d) and c.origin and c.origin == node.origin and c.inputs[0] == node.name
                for c in graph.consumers(node.name))
    bias = 0 if inner else node.bias.size
    if not isinstance(node.weight, ir.ReconstructedKernel):
        return _layer(node, node.weight.size + bias, node.weight.size * _pixels(node.shape))
    kernel = node.weight
    dense = int(np.prod(kernel.shape))
    cores = (kernel.first, *(step.core for step in kernel.steps))
    pixels = _pixels(node.shape)
    # in chain form only a leading 1x1 core (of I alone) sees the map before the stride
    leading = cores[-1].ndim == 2 and kernel.shape[2:] != (1, 1)
    before = _pixels(graph[node.inputs[0]].shape) if leading else pixels
    macs = sum(core.size for core in cores[:-1]) * pixels + cores[-1].size * before
    return _layer(node, sum(core.size for core in cores) + bias, macs, dense + bias, dense * pixels)
