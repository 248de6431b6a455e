"""Proven widths: how large accumulators and requantisation sums of a quantised graph can become."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwgen.golden.conv import reconstruct
from hwgen.ir import nodes as ir
from hwgen.ir.nodes import Graph, Requantise


@dataclass(frozen=True, kw_only=True)
class Bound:
    """Largest magnitudes of one arithmetic step, over its channels and any int8 input.

    Args:
        name: of the node; the steps of a reconstruction are ``<node>.step0``, ...
        accumulator: of the accumulator and of every partial sum in any order, bias included.
        requantise: of ``acc*M + res*R + 2^(S-1)``; 0 for raw outputs.
    """

    name: str
    accumulator: int
    requantise: int


def bounds(graph: Graph) -> tuple[Bound, ...]:
    """The bounds of every node that computes, in graph order; exact integers."""
    found: list[Bound] = []
    for node in graph.nodes:
        match node:
            case ir.QConv2d():
                weight = node.weight
                if isinstance(weight, ir.ReconstructedKernel):
                    for index, step in enumerate(weight.steps):
                        flat = step.core.astype(np.int64).reshape(step.core.shape[0], -1)
                        found.append(_bound(f"{node.name}.step{index}", 127 * np.abs(flat).sum(axis=0),
                                            step.requantise, False))
                    weight = reconstruct(weight)
                sums = 128 * np.abs(weight.astype(np.int64)).sum(axis=(1, 2, 3)) + np.abs(node.bias.astype(np.int64))
                found.append(_bound(node.name, sums, node.requantise, len(node.inputs) == 2))
            case ir.QAvgPool():
                sums = np.full(node.shape[0], 128 * node.kernel[0] * node.kernel[1])
                found.append(_bound(node.name, sums, node.requantise, False))
            case ir.QAdd():
                found.append(_bound(node.name, np.full(node.shape[0], 128), node.requantise, True))
    return tuple(found)


def _bound(name: str, sums: np.ndarray, requantise: Requantise | None, residual: bool) -> Bound:
    largest = 0
    if requantise is not None:
        total = sums * requantise.multiplier + (np.int64(1) << (requantise.shift - 1))
        if residual:
            total = total + 128 * requantise.residual_multiplier
        largest = int(total.max())
    return Bound(name=name, accumulator=int(sums.max()), requantise=largest)


def required_acc_bits(graph: Graph) -> int:
    """Two's complement width that holds every accumulator of ``graph``, reconstructions and pools included."""
    return max(b.accumulator for b in bounds(graph)).bit_length() + 1


def requantise_bits(graph: Graph) -> int:
    """Two's complement width that holds every requantisation sum of ``graph`` before its shift (at most 64)."""
    return max(b.requantise for b in bounds(graph)).bit_length() + 1
