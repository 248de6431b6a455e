"""Prepares tensor trains for int8: the same kernels with inner channels of one magnitude (``hwgen.tt.balance``)."""

from __future__ import annotations

import dataclasses

import numpy as np
from torch import Tensor
from torch.nn import functional

from hwgen.ir import nodes as ir
from hwgen.ir.execute import visit_float
from hwgen.ir.nodes import Graph, Node
from hwgen.ir.tt_chain import chain_convs
from hwgen.tt.balance import balance


def balance_cores(graph: Graph, images: np.ndarray, *, batch: int = 32, seed: int = 0) -> Graph:
    """Balances the cores of every TTConv2d on the maps between them; the function of the graph stays.

    Worth calling after ``tensor_train`` and wherever cores come from a plain decomposition: quantised as a chain such
    trains lose several dB otherwise. Cores from ``hwgen train`` are balanced already.

    Args:
        graph: float or planned.
        images: float32 [N, *input shape]; a few dozen are enough.
        batch: images at a time.
        seed: of the rotations.
    """
    readers: dict[str, list[ir.TTConv2d]] = {}
    for node in graph.nodes:
        if isinstance(node, ir.TTConv2d):
            readers.setdefault(node.inputs[0], []).append(node)
    moments = {n.name: [np.zeros((c.shape[-1],) * 2) for c in n.cores[:-1]] for r in readers.values() for n in r}

    def measure(node: Node, value: Tensor) -> None:
        for reader in readers.get(node.name, ()):
            found = _second_moments(reader, value)
            moments[reader.name] = [a + b for a, b in zip(moments[reader.name], found, strict=True)]

    for begin in range(0, len(images), batch):
        visit_float(graph, images[begin:begin + batch], measure)
    nodes = tuple(
        dataclasses.replace(node, cores=tuple(
            np.ascontiguousarray(c, dtype=np.float32) for c in balance(node.cores, moments[node.name], seed)))
        if isinstance(node, ir.TTConv2d) else node for node in graph.nodes
    )
    return dataclasses.replace(graph, nodes=nodes)


def _second_moments(node: ir.TTConv2d, x: Tensor) -> list[np.ndarray]:
    """Mean of t t^T over images and pixels for the map after every core but the last, float64 [r, r] each."""
    found = []
    for conv in chain_convs(node)[:-1]:
        top, bottom, left, right = conv.padding
        weight = x.new_tensor(conv.weight)
        x = functional.pad(x, (left, right, top, bottom))
        x = functional.conv2d(x, weight, None, conv.stride, 0, conv.dilation)
        flat = x.transpose(0, 1).flatten(1).double()
        found.append((flat @ flat.T).numpy() / flat.shape[1])
    return found
