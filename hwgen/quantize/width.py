"""How wide accumulators must be, known from the float network: before any calibration, for every way to execute it."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

import numpy as np

from hwgen.golden.conv import reconstruct
from hwgen.ir import nodes as ir
from hwgen.ir.nodes import Graph, TTExecution
from hwgen.ir.shapes import tt_kernel_shape
from hwgen.ir.tt_chain import chain_nodes
from hwgen.passes.fold_batchnorm import fold_batchnorm
from hwgen.passes.plan import apply_choice, candidates, plan
from hwgen.quantize.lower import lower
from hwgen.quantize.quantize import BIAS_LIMIT
from hwgen.quantize.reconstruct import quantise_kernel

#: largest magnitudes of an activation and of a weight
_ACTIVATION, _WEIGHT = 128, 127
#: single precision must not round a product below what the quantiser's double precision gives
_MARGIN = 1 + 1e-6
#: weights that are looked at together
_BLOCK = 1 << 22


def accumulator_bits(graph: Graph, *, at_least: int) -> int:
    """Two's complement width that holds every accumulator of the integer forms of ``graph``, ``at_least`` or more.

    Integer weights grow with a finer scale, and no scale is finer than the largest weight of the output channel divided
    by 127; the quantiser limits the bias. So the bound holds whatever activation ranges calibration will find, and for
    every execution that the search may choose for a tensor train.

    Args:
        graph: float graph, planned or not.
        at_least: result for networks that need less.
    """
    graph = fold_batchnorm(graph)
    bound = (1 << (at_least - 1)) - 1
    for node in lower(plan(graph)).graph.nodes:
        bound = max(bound, _bound(node))
    for node in graph.nodes:
        if isinstance(node, ir.TTConv2d | ir.TTLinear) and node.execution is TTExecution.AUTO:
            bound = max(bound, _other_ways(node if isinstance(node, ir.TTConv2d) else _as_conv(node), bound))
    return bound.bit_length() + 1


def _other_ways(node: ir.TTConv2d, known: int) -> int:
    """Largest accumulator of a tensor train however it executes; ``known`` where none can be larger.

    Cores are only contracted where their sizes alone do not tell that.
    """
    for choice in candidates(node):
        parts = (node.grouping,) if choice.execution is TTExecution.RECONSTRUCT else choice.grouping or node.grouping
        longest = np.full(node.shape[0], _WEIGHT * _terms(node, ["".join(part) for part in parts]))
        if _largest(longest, node.bias) > known:
            decided = apply_choice(node, choice)
            assert isinstance(decided, ir.TTConv2d)
            known = max([known, *map(_bound, chain_nodes(decided))])
    return known


def _terms(node: ir.TTConv2d, parts: Iterable[str]) -> int:
    """Products in the longest sum of a chain of kernels with the modes ``parts``, contractions included."""
    sizes = dict(zip("OIHW", tt_kernel_shape(node), strict=True)) | {"O": 1, "+": 1}
    ranks = {group[0]: core.shape[0] for group, core in zip(node.grouping, node.cores, strict=True)}
    return max(*ranks.values(), *(ranks[part[0]] * prod(sizes[letter] for letter in part) for part in parts))


def _as_conv(node: ir.TTLinear) -> ir.TTConv2d:
    """The same sums as a convolution on one pixel."""
    first, last = node.cores
    return ir.TTConv2d(name=node.name, inputs=node.inputs, shape=(*node.shape, 1, 1), bias=node.bias,
                       grouping=("IHW", "O"), execution=node.execution,
                       cores=(first.reshape(1, first.shape[1], 1, 1, -1), last))


def _bound(node: ir.Node) -> int:
    """Largest accumulator of a lowered node."""
    match node:
        case ir.Conv2d():
            return _largest(_row_sums(node.weight), node.bias)
        case ir.TTConv2d():
            kernel, _ = quantise_kernel(node)
            sums = np.abs(reconstruct(kernel).astype(np.int16)).sum(axis=(1, 2, 3), dtype=np.int64)
            return max(_largest(sums, node.bias), *(
                _WEIGHT * int(np.abs(step.core.astype(np.int64)).sum(axis=0).max()) for step in kernel.steps))
        case ir.AvgPool():
            return _ACTIVATION * prod(node.kernel)
    return 0


def _largest(sums: np.ndarray, bias: np.ndarray) -> int:
    """From the magnitudes of the integer weights, summed per output channel, and the float bias."""
    return int((_ACTIVATION * sums + np.where(bias != 0, int(BIAS_LIMIT) + 1, 0)).max())


def _row_sums(weight: np.ndarray) -> np.ndarray:
    """int64 [O]: no sum of the magnitudes of an output channel's integer weights is larger."""
    rows = weight.reshape(weight.shape[0], -1)
    step = max(1, _BLOCK // rows.shape[1])
    sums = []
    for begin in range(0, len(rows), step):
        block = np.abs(rows[begin:begin + step])
        peak = np.maximum(block.max(axis=1, keepdims=True), np.finfo(np.float32).tiny)
        sums.append(np.rint(block / peak * np.float32(_WEIGHT * _MARGIN)).sum(axis=1, dtype=np.float64))
    return np.concatenate(sums).astype(np.int64)
