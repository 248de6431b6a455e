"""Fixes how every tensor-train layer executes; the choice changes the arithmetic, so it precedes quantisation."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping
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
    """How one layer executes: which of its cores are contracted offline, on the chip, and with the activations.

    Args:
        execution: CHAIN, RECONSTRUCT, MERGED (a chain over ``grouping``), MIXED (a chain over ``grouping`` in which
            some kernels are contracted on the chip) or AUTO (the cost function decides).
        grouping: groups of modes after merging neighbouring cores offline; None keeps the layer's own (RECONSTRUCT:
            merges the kernel modes if it must). Of MIXED, one entry per convolution; ``"HW+O"`` is the product of a
            core of H and W with one of O, contracted on the chip.
    """

    execution: TTExecution
    grouping: Grouping | None = None

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "execution", TTExecution(self.execution))
        except ValueError as error:
            allowed = ", ".join(e.value for e in TTExecution)
            raise HwgenError(f"unknown execution {self.execution!r}", where="plan", allowed=allowed) from error

    def order(self, node: TTLayer) -> str:
        """The contraction order in one word: ``·`` merged offline, ``+`` contracted on the chip, ``|`` applied to the
        activations one after the other. For example ``I|HW+O``; groups with several letters come from one core."""
        own = node.grouping if isinstance(node, ir.TTConv2d) else ("I", "O")
        joint = "+" if self.execution is TTExecution.RECONSTRUCT else "|"
        text = joint.join(self.grouping or own)
        for left, right in itertools.pairwise(own):
            text = text.replace(left + right, f"{left}·{right}")
        return text


def plan(
    graph: Graph, choices: Mapping[str, TTChoice | TTExecution] | None = None,
    default: TTExecution = TTExecution.CHAIN, cost: Cost | None = None,
) -> Graph:
    """The planned form of a float graph: BatchNorm folded, every TT layer CHAIN, MIXED or RECONSTRUCT.

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
    """Every contraction order of ``node`` that the hardware can run: its own chain first, then merged chains, then
    reconstructions of the whole kernel, then chains with reconstructed parts.

    Each of the n - 1 joints of a train is contracted offline, on the chip or through the activations: 3^(n-1) orders
    (9 of I|HW|O), less those whose on-chip part holds taps in two cores. Contractions on the chip run from the output
    end: their rows are output channels, which is how weight memory takes a kernel.
    """
    if isinstance(node, ir.TTLinear):
        return TTChoice(TTExecution.CHAIN), TTChoice(TTExecution.RECONSTRUCT)
    groupings = coarser_groupings(node.grouping)
    found = [TTChoice(TTExecution.CHAIN)]
    found += [TTChoice(TTExecution.MERGED, g) for g in groupings if g != node.grouping]
    found += [TTChoice(TTExecution.RECONSTRUCT, g) for g in groupings if _reconstructs(g)]
    found += [TTChoice(TTExecution.MIXED, m) for g in groupings for m in _mixed(g)]
    return tuple(found)


def _mixed(grouping: Grouping) -> Iterator[Grouping]:
    """Chains of ``grouping`` with some, but not all, neighbours contracted on the chip."""
    joints = len(grouping) - 1
    for joined in itertools.product((False, True), repeat=joints):
        parts: list[list[str]] = [[grouping[0]]]
        for group, on_chip in zip(grouping[1:], joined, strict=True):
            if on_chip:
                parts[-1].append(group)
            else:
                parts.append([group])
        if 1 < len(parts) < len(grouping) and all(len(p) == 1 or _reconstructs(tuple(p)) for p in parts):
            yield tuple("+".join(p) for p in parts)


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
    # the product must come out as [O, Kh, Kw, I], so one core holds all its taps
    return len(grouping) > 1 and sum(bool(set(group) & set("HW")) for group in grouping) <= 1


def apply_choice(node: TTLayer, choice: TTChoice) -> TTLayer:
    """``node`` with ``choice`` applied: cores merged, execution CHAIN, MIXED or RECONSTRUCT.

    Raises:
        HwgenError: the grouping is not coarser than the layer's, or cannot be reconstructed.
    """
    if isinstance(node, ir.TTLinear):
        if choice.execution in (TTExecution.MERGED, TTExecution.MIXED) or choice.grouping is not None:
            raise HwgenError("a TT linear layer has nothing to merge", where=node.name, allowed="chain, reconstruct")
        return dataclasses.replace(node, execution=choice.execution)
    grouping = choice.grouping
    if choice.execution is TTExecution.RECONSTRUCT:
        reachable = [g for g in coarser_groupings(node.grouping) if _reconstructs(g)]
        grouping = grouping or (reachable[0] if reachable else None)
        if grouping is None or not _reconstructs(grouping):
            raise HwgenError(
                f"{'|'.join(node.grouping)} cannot be reconstructed on the chip", where=node.name,
                allowed="groupings with H and W in one core, such as I|HW|O",
                hint="choose chain, or another grouping of the train",
            )
        return merge_cores(dataclasses.replace(node, execution=TTExecution.RECONSTRUCT), grouping)
    if choice.execution in (TTExecution.MERGED, TTExecution.MIXED) and grouping is None:
        raise HwgenError(f"{choice.execution} execution without a grouping", where=node.name, allowed="such as I|HW|O")
    if choice.execution is TTExecution.MIXED and grouping is not None:
        return _apply_mixed(node, grouping)
    return merge_cores(dataclasses.replace(node, execution=TTExecution.CHAIN), grouping or node.grouping)


def _apply_mixed(node: ir.TTConv2d, grouping: Grouping) -> ir.TTConv2d:
    parts = [tuple(part.split("+")) for part in grouping]
    for part in parts:
        if len(part) > 1 and not _reconstructs(part):
            raise HwgenError(f"{'+'.join(part)} cannot be contracted on the chip", where=node.name,
                             allowed="cores of which at most one holds H or W")
    merged = merge_cores(node, tuple(group for part in parts for group in part))
    return dataclasses.replace(merged, execution=TTExecution.MIXED, segments=tuple(len(part) for part in parts))


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
    spans: list[int] = []
    for group in grouping:
        core, letters = remaining.pop(0)
        product = core.astype(np.float64)
        spans.append(1)
        while letters != group:
            core, more = remaining.pop(0)
            product = np.tensordot(product, core.astype(np.float64), axes=1)
            letters += more
            spans[-1] += 1
        cores.append(np.ascontiguousarray(product, dtype=np.float32))
    return dataclasses.replace(node, cores=tuple(cores), grouping=grouping, spans=tuple(spans))
