"""Fixes how every tensor-train layer executes; the choice changes the arithmetic, so it precedes quantisation."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from hwgen.errors import HwgenError
from hwgen.ir import nodes as ir
from hwgen.ir.nodes import Graph, Shape, TTExecution
from hwgen.ir.verify import Stage, verify
from hwgen.passes.fold_batchnorm import fold_batchnorm
from hwgen.passes.rewrite import layer, rebuild

TTLayer = ir.TTConv2d | ir.TTLinear
Grouping = tuple[str, ...]
#: (layer with its execution fixed, shape of its input) -> cost in any unit, smaller is better
Cost = Callable[[TTLayer, Shape], float]


@dataclass(frozen=True)
class TTChoice:
    """How one layer executes.

    Args:
        execution: CHAIN, RECONSTRUCT, MERGED (a chain over ``grouping``) or AUTO (the cost function decides).
        grouping: groups of modes after merging neighbouring cores offline; None keeps the layer's own (RECONSTRUCT:
            merges the kernel modes if it must).
    """

    execution: TTExecution
    grouping: Grouping | None = None

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "execution", TTExecution(self.execution))
        except ValueError as error:
            allowed = ", ".join(e.value for e in TTExecution)
            raise HwgenError(f"unknown execution {self.execution!r}", where="plan", allowed=allowed) from error


def plan(
    graph: Graph, choices: Mapping[str, TTChoice | TTExecution] | None = None,
    default: TTExecution = TTExecution.CHAIN, cost: Cost | None = None,
) -> Graph:
    """The planned form of a float graph: BatchNorm folded, every TT layer CHAIN or RECONSTRUCT.

    Args:
        graph: float graph.
        choices: layer name -> choice, for layers that do not take the default or their own ``execution``.
        default: for layers whose ``execution`` is AUTO and that are not in ``choices``.
        cost: decides AUTO; without it AUTO means CHAIN.

    Raises:
        HwgenError: unknown layer name, or a choice that its cores do not allow.
    """
    graph = fold_batchnorm(graph)
    choices = choices or {}
    for name in choices:
        layer(graph, name, (ir.TTConv2d, ir.TTLinear), "tensor-train layer")
    nodes: list[ir.Node] = []
    for node in graph.nodes:
        if isinstance(node, ir.TTConv2d | ir.TTLinear):
            own = node.execution if node.execution is not TTExecution.AUTO else default
            choice = choices.get(node.name, own)
            decided = choice if isinstance(choice, TTChoice) else TTChoice(choice)
            nodes.append(_decide(node, decided, cost, graph[node.inputs[0]].shape))
        else:
            nodes.append(node)
    return verify(rebuild(graph, nodes), Stage.PLANNED)


def _decide(node: TTLayer, choice: TTChoice, cost: Cost | None, input_shape: Shape) -> TTLayer:
    if choice.execution is not TTExecution.AUTO:
        return apply_choice(node, choice)
    if cost is None:
        return apply_choice(node, TTChoice(TTExecution.CHAIN))
    variants = [apply_choice(node, c) for c in candidates(node)]
    return min(variants, key=lambda v: cost(v, input_shape))


def candidates(node: TTLayer) -> tuple[TTChoice, ...]:
    """Every way to execute ``node``: its own chain first, then merged chains, then reconstructions."""
    if isinstance(node, ir.TTLinear):
        return TTChoice(TTExecution.CHAIN), TTChoice(TTExecution.RECONSTRUCT)
    found = [TTChoice(TTExecution.CHAIN)]
    found += [TTChoice(TTExecution.MERGED, g) for g in coarser_groupings(node.grouping) if g != node.grouping]
    found += [TTChoice(TTExecution.RECONSTRUCT, g) for g in coarser_groupings(node.grouping) if _reconstructs(g)]
    return tuple(found)


def coarser_groupings(grouping: Grouping) -> tuple[Grouping, ...]:
    """``grouping`` and every grouping that merging neighbours can reach, finest first; the last is one dense kernel."""
    joints = len(grouping) - 1
    found = []
    for mask in range(2**joints):
        merged = [grouping[0]]
        for index, group in enumerate(grouping[1:]):
            if mask >> index & 1:
                merged[-1] += group
            else:
                merged.append(group)
        found.append(tuple(merged))
    return tuple(sorted(found, key=lambda g: -len(g)))


def _reconstructs(grouping: Grouping) -> bool:
    # the contraction starts with a core [O, r] and its product must come out as [O, Kh, Kw, I]
    return grouping in (("I", "HW", "O"), ("IHW", "O"))


def apply_choice(node: TTLayer, choice: TTChoice) -> TTLayer:
    """``node`` with ``choice`` applied: cores merged, execution CHAIN or RECONSTRUCT.

    Raises:
        HwgenError: the grouping is not coarser than the layer's, or cannot be reconstructed.
    """
    if isinstance(node, ir.TTLinear):
        if choice.execution is TTExecution.MERGED or choice.grouping is not None:
            raise HwgenError("a TT linear layer has nothing to merge", where=node.name, allowed="chain, reconstruct")
        return dataclasses.replace(node, execution=choice.execution)
    grouping = choice.grouping
    if choice.execution is TTExecution.RECONSTRUCT:
        reachable = [g for g in coarser_groupings(node.grouping) if _reconstructs(g)]
        grouping = grouping or (reachable[0] if reachable else None)
        if grouping is None or not _reconstructs(grouping):
            raise HwgenError(
                f"{'|'.join(node.grouping)} cannot be reconstructed on the chip", where=node.name,
                allowed="groupings that end in a core of O alone, such as I|HW|O",
                hint="choose chain, or another grouping of the train",
            )
        return merge_cores(dataclasses.replace(node, execution=TTExecution.RECONSTRUCT), grouping)
    if choice.execution is TTExecution.MERGED and grouping is None:
        raise HwgenError("merged execution without a grouping", where=node.name, allowed="such as I|HW|O")
    return merge_cores(dataclasses.replace(node, execution=TTExecution.CHAIN), grouping or node.grouping)


def merge_cores(node: ir.TTConv2d, grouping: Grouping) -> ir.TTConv2d:
    """``node`` with neighbouring cores contracted offline so that its grouping becomes ``grouping``."""
    if grouping == node.grouping:
        return node
    if grouping not in coarser_groupings(node.grouping):
        raise HwgenError(
            f"cores of {'|'.join(node.grouping)} cannot be merged to {'|'.join(grouping)}", where=node.name,
            allowed=", ".join("|".join(g) for g in coarser_groupings(node.grouping)),
        )
    remaining = list(zip(node.cores, node.grouping, strict=True))
    cores: list[np.ndarray] = []
    for group in grouping:
        core, letters = remaining.pop(0)
        product = core.astype(np.float64)
        while letters != group:
            core, more = remaining.pop(0)
            product = np.tensordot(product, core.astype(np.float64), axes=1)
            letters += more
        cores.append(np.ascontiguousarray(product, dtype=np.float32))
    return dataclasses.replace(node, cores=tuple(cores), grouping=grouping)
