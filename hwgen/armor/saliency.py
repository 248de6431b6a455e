"""What the units of every group are worth: Taylor, gradient, L1 and random saliency, on adversarial images.

First-order Taylor: with a factor 1 on a unit's channels, the derivative of an image's loss by the factor is
``sum a * dL/da`` over the unit's maps; its magnitude is what the loss changes by, to first order, when the unit is
removed (Molchanov et al., arXiv 1611.06440). Depthwise convolutions share their unit with the layer before them and get
no factor of their own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hwgen.armor.groups import Group, groups
from hwgen.armor.trace import trace
from hwgen.ir import nodes as ir
from hwgen.ir.nodes import Graph
from hwgen.passes.prune_channels import Layer, l1_score, unit_members
from hwgen.train.graph_module import GraphModule

Method = Literal["guided", "taylor", "gradient", "l1", "random"]
METHODS: tuple[Method, ...] = ("guided", "taylor", "gradient", "l1", "random")
#: (normalised adversarial images [N, C, H, W], labels [N])
Batch = tuple[Tensor, Tensor]


def saliency(method: Method, graph: Graph, batches: Iterable[Batch], seed: int = 0) -> dict[str, np.ndarray]:
    """Group -> saliency of each of its units, float64 [size], not negative.

    Args:
        method: ``"guided"`` is Taylor saliency (what guides is the hardware's gain, ``hwgen.armor.steps``).
        graph: float, BatchNorm folded.
        batches: adversarial images; not read by ``"l1"`` and ``"random"``.
        seed: of ``"random"``.
    """
    found = groups(graph)
    if method == "random":
        rng = np.random.default_rng(seed)
        return {group.name: rng.random(group.size) for group in found}
    if method == "l1":
        return _l1(graph, found)
    return _taylor(graph, found, batches) if method in ("guided", "taylor") else _gradient(graph, found, batches)


def _gated(graph: Graph) -> list[tuple[str, int]]:
    """Layers and bonds that get factors, with their channels."""
    named = [(node.name, node.shape[0]) for node in graph.nodes
             if isinstance(node, Layer) and not (isinstance(node, ir.Conv2d) and node.groups > 1)]
    return named + [(group.name, group.size) for group in groups(graph) if group.ranks]


def _taylor(graph: Graph, found: tuple[Group, ...], batches: Iterable[Batch]) -> dict[str, np.ndarray]:
    module, members = GraphModule(graph).requires_grad_(False), unit_members(graph)
    totals = {group.name: np.zeros(group.size) for group in found}
    images = 0
    for x, y in batches:
        gates = {name: torch.ones(len(x), channels, requires_grad=True) for name, channels in _gated(graph)}
        loss = functional.cross_entropy(trace(module, x, gates), y, reduction="sum")
        derivatives = torch.autograd.grad(loss, list(gates.values()), allow_unused=True)
        by_name = {name: np.zeros((len(x), gate.shape[1])) if d is None else d.double().numpy()
                   for (name, gate), d in zip(gates.items(), derivatives, strict=True)}
        for group in found:
            if group.ranks:
                signed = by_name[group.name]
            else:
                signed = np.zeros((len(x), group.size))
                for layer, units in members[group.name].items():
                    if layer in by_name:
                        own = units >= 0
                        np.add.at(signed.T, units[own], by_name[layer][:, own].T)
            totals[group.name] += np.abs(signed).sum(axis=0)
        images += len(x)
    return {name: total / max(images, 1) for name, total in totals.items()}


def _gradient(graph: Graph, found: tuple[Group, ...], batches: Iterable[Batch]) -> dict[str, np.ndarray]:
    """Sum of magnitudes of the loss's derivatives by a unit's weights."""
    module, images = GraphModule(graph), 0
    for x, y in batches:
        functional.cross_entropy(trace(module, x), y, reduction="sum").backward()
        images += len(x)

    def magnitude(array: np.ndarray) -> np.ndarray:
        gradient = module.tensor_gradient(array)
        return np.abs(gradient) / max(images, 1)

    return _by_weights(graph, found, magnitude)


def _l1(graph: Graph, found: tuple[Group, ...]) -> dict[str, np.ndarray]:
    """Sum of magnitudes of a unit's weights, relative to its layer's mean."""
    members, totals = unit_members(graph), {group.name: np.zeros(group.size) for group in found}
    for group in found:
        if group.ranks:
            continue
        for layer, units in members[group.name].items():
            node = graph[layer]
            assert isinstance(node, Layer)
            own = units >= 0
            np.add.at(totals[group.name], units[own], l1_score(node)[own])
    ranks = _by_weights(graph, tuple(g for g in found if g.ranks), np.abs)
    return totals | {name: values / max(float(values.mean()), 1e-30) for name, values in ranks.items()}


def _by_weights(graph: Graph, found: tuple[Group, ...], magnitude) -> dict[str, np.ndarray]:
    """Sums of ``magnitude(array)`` over the weights of every unit: rows of its layers, slices of both its cores."""
    members, totals = unit_members(graph), {}
    for group in found:
        total = np.zeros(group.size)
        if group.ranks:
            layer, _, bond = group.name.rpartition(":")
            node = graph[layer]
            assert isinstance(node, ir.TTConv2d | ir.TTLinear)
            left, right = magnitude(node.cores[int(bond)]), magnitude(node.cores[int(bond) + 1])
            total = left.reshape(-1, group.size).sum(axis=0) + right.reshape(group.size, -1).sum(axis=1)
        else:
            for layer, units in members[group.name].items():
                node, own = graph[layer], units >= 0
                if isinstance(node, ir.TTConv2d | ir.TTLinear):
                    last = magnitude(node.cores[-1])  # [r, ..., O, 1]
                    rows = last.reshape(-1, last.shape[-2]).sum(axis=0)
                else:
                    assert isinstance(node, ir.Conv2d | ir.Linear)
                    rows = magnitude(node.weight).reshape(len(node.weight), -1).sum(axis=1)
                np.add.at(total, units[own], rows[own])
        totals[group.name] = total
    return totals
