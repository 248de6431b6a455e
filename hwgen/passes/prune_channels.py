"""Structured pruning: removes whole channels, consistently wherever residual additions tie them together."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np

from hwgen.errors import HwgenError
from hwgen.ir import nodes as ir
from hwgen.ir.count import Totals, count
from hwgen.ir.nodes import Graph, Node
from hwgen.ir.shapes import infer_shape
from hwgen.ir.tt_chain import dense_kernel
from hwgen.ir.verify import Stage, verify

Layer = ir.Conv2d | ir.TTConv2d | ir.Linear | ir.TTLinear
#: layer -> importance of each of its output channels, float [O]; comparable between layers
Score = Callable[[Layer], np.ndarray]


@dataclass(frozen=True, kw_only=True)
class ChannelGroup:
    """Channels that can only be removed together: one channel of each of ``layers``.

    Args:
        name: of the first layer; the group is addressed by it, or by any other of ``layers``.
        layers: that produce the channels.
        units: one number per removable channel (of the analysis; only their count and order mean something).
    """

    name: str
    layers: tuple[str, ...]
    units: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class PrunedGroup:
    """What happened to one group: channels before and after, and which (numbered within the group) were kept."""

    name: str
    layers: tuple[str, ...]
    before: int
    after: int
    kept: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Pruned:
    """The smaller graph, what was removed and the totals before and after."""

    graph: Graph
    groups: tuple[PrunedGroup, ...]
    before: Totals
    after: Totals


def l1_score(node: Layer) -> np.ndarray:
    """Sum of magnitudes of each output channel's weights, divided by the layer's mean so that layers compare."""
    match node:
        case ir.Conv2d() | ir.Linear():
            weight = node.weight.astype(np.float64)
        case ir.TTConv2d():
            weight = dense_kernel(node)
        case ir.TTLinear():
            weight = (node.cores[0][0].astype(np.float64) @ node.cores[1][:, :, 0]).T
    sums = np.abs(weight).reshape(weight.shape[0], -1).sum(axis=1)
    return sums / max(float(sums.mean()), 1e-30)


class _Variables:
    """A variable per channel of every tensor; channels that must stay or go together are one variable."""

    def __init__(self, graph: Graph) -> None:
        self.parent: list[int] = []
        self.frozen: set[int] = set()
        self.of: dict[str, np.ndarray] = {}
        for node in graph.nodes:
            self.of[node.name] = self._visit(node)
        self.freeze(self.of[graph.output])
        self.frozen = {self.root(v) for v in self.frozen}

    def root(self, variable: int) -> int:
        while self.parent[variable] != variable:
            self.parent[variable] = self.parent[self.parent[variable]]
            variable = self.parent[variable]
        return variable

    def roots(self, name: str) -> list[int]:
        return [self.root(int(v)) for v in self.of[name]]

    def freeze(self, variables: np.ndarray) -> None:
        self.frozen.update(int(v) for v in variables)

    def _new(self, size: int) -> np.ndarray:
        first = len(self.parent)
        self.parent.extend(range(first, first + size))
        return np.arange(first, first + size)

    def _visit(self, node: Node) -> np.ndarray:
        match node:
            case ir.Input():
                fresh = self._new(node.shape[0])
                self.freeze(fresh)
                return fresh
            case ir.Conv2d() if node.groups > 1:
                source = self.of[node.inputs[0]]
                if _is_depthwise(node):
                    return source
                fresh = self._new(node.shape[0])  # a group of channels would have to shrink evenly
                self.freeze(source)
                self.freeze(fresh)
                return fresh
            case ir.Conv2d() | ir.TTConv2d() | ir.Linear() | ir.TTLinear():
                return self._new(node.shape[0])
            case ir.Add():
                left, right = (self.of[i] for i in node.inputs)
                for a, b in zip(left, right, strict=True):
                    self.parent[self.root(int(b))] = self.root(int(a))
                return left
            case ir.Concat():
                return np.concatenate([self.of[i] for i in node.inputs])
            case ir.Flatten():
                source = self.of[node.inputs[0]]
                return np.repeat(source, node.shape[0] // len(source))
        return self.of[node.inputs[0]]


def _is_depthwise(node: ir.Conv2d) -> bool:
    return node.groups > 1 and node.weight.shape[1] == 1 and node.weight.shape[0] == node.groups


def channel_groups(graph: Graph) -> tuple[ChannelGroup, ...]:
    """The groups of removable channels of a float graph; inputs, outputs and grouped convolutions are fixed."""
    return _groups(graph, _Variables(graph))


def _groups(graph: Graph, variables: _Variables) -> tuple[ChannelGroup, ...]:
    producers: dict[int, list[str]] = {}
    for node in graph.nodes:
        if isinstance(node, Layer):
            for root in variables.roots(node.name):
                producers.setdefault(root, []).append(node.name)
    by_layers: dict[tuple[str, ...], list[int]] = {}
    for root, names in producers.items():
        if root not in variables.frozen:
            by_layers.setdefault(tuple(dict.fromkeys(names)), []).append(root)
    return tuple(
        ChannelGroup(name=names[0], layers=names, units=tuple(units)) for names, units in by_layers.items()
    )


def prune_channels(
    graph: Graph, keep: float | Mapping[str, int], granule: int = 8, score: Score = l1_score,
    *, exclude: Collection[str] = (),
) -> Pruned:
    """Removes the least important channels of every group.

    Args:
        graph: float; BatchNorm folded or not.
        keep: share of every group's channels to keep, above 0 and at most 1; or layer name -> channels to keep (of the
            group which that layer belongs to; groups without an entry stay whole).
        granule: kept counts are rounded up to a multiple of this, as far as the group has channels.
        score: importance of a layer's output channels; a group's channels add up the scores of their layers.
        exclude: layers whose groups stay whole.

    Raises:
        HwgenError: share out of range, or a layer that is in no group.
    """
    if isinstance(keep, int | float) and not 0 < keep <= 1:
        raise HwgenError(f"share {keep} of channels to keep", where="prune", allowed="above 0, at most 1")
    if granule < 1:
        raise HwgenError(f"granule {granule}", where="prune", allowed="at least 1")
    variables = _Variables(graph)
    groups = _groups(graph, variables)
    named = set(exclude) | (set() if isinstance(keep, int | float) else set(keep))
    members = {name for group in groups for name in group.layers}
    for name in sorted(named - members):
        raise HwgenError(f"no prunable layer named {name!r}", where="prune", allowed=", ".join(sorted(members)))
    removed: set[int] = set()
    report: list[PrunedGroup] = []
    for group in groups:
        total = len(group.units)
        target = total if set(exclude) & set(group.layers) else _target(group, keep)
        kept_count = min(total, max(1, -(-target // granule)) * granule)
        scores = _unit_scores(graph, variables, group, score)
        kept = np.sort(np.argsort(-scores, kind="stable")[:kept_count])
        removed.update(set(group.units) - {group.units[i] for i in kept})
        report.append(PrunedGroup(name=group.name, layers=group.layers, before=total, after=kept_count,
                                  kept=tuple(int(i) for i in kept)))
    smaller = _remove(graph, variables, removed)
    return Pruned(graph=smaller, groups=tuple(report), before=count(graph), after=count(smaller))


def unit_members(graph: Graph) -> dict[str, dict[str, np.ndarray]]:
    """Group -> layer -> the unit of the group that each of its output channels is, int [O]; -1: not of this group."""
    variables = _Variables(graph)
    found: dict[str, dict[str, np.ndarray]] = {}
    for group in _groups(graph, variables):
        position = {unit: i for i, unit in enumerate(group.units)}
        found[group.name] = {name: np.array([position.get(root, -1) for root in variables.roots(name)])
                             for name in group.layers}
    return found


def remove_units(graph: Graph, removed: Mapping[str, Collection[int]]) -> Graph:
    """The float graph without the given units (numbered within their group) of the named groups.

    Raises:
        HwgenError: no such group or unit, or nothing of a group would be left.
    """
    variables = _Variables(graph)
    groups = {group.name: group for group in _groups(graph, variables)}
    gone: set[int] = set()
    for name, units in removed.items():
        if name not in groups:
            raise HwgenError(f"no group {name!r}", where="prune", allowed=", ".join(groups))
        total = len(groups[name].units)
        if any(not 0 <= unit < total for unit in units) or len(set(units)) >= total:
            raise HwgenError(f"cannot remove units {sorted(units)}", where=name, allowed=f"some of 0..{total - 1}")
        gone.update(groups[name].units[unit] for unit in units)
    return _remove(graph, variables, gone)


def kept_masks(graph: Graph, removed: Mapping[str, Collection[int]]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Which input and output channels of every layer stay when ``remove_units`` removes these units, bool [I] and [O];
    grouped convolutions are left out."""
    variables = _Variables(graph)
    groups = {group.name: group for group in _groups(graph, variables)}
    gone = {groups[name].units[unit] for name, units in removed.items() for unit in units}

    def mask(tensor: str) -> np.ndarray:
        return np.array([root not in gone for root in variables.roots(tensor)])

    return {node.name: (mask(node.inputs[0]), mask(node.name)) for node in graph.nodes
            if isinstance(node, Layer) and not (isinstance(node, ir.Conv2d) and node.groups > 1)}


def _target(group: ChannelGroup, keep: float | Mapping[str, int]) -> int:
    total = len(group.units)
    if isinstance(keep, int | float):
        return int(np.ceil(total * keep - 1e-9))
    wanted = [keep[name] for name in group.layers if name in keep]
    if any(not 1 <= w <= total for w in wanted):
        raise HwgenError(f"{wanted[0]} channels to keep", where=group.name, allowed=f"1..{total}")
    return max(wanted, default=total)


def _unit_scores(graph: Graph, variables: _Variables, group: ChannelGroup, score: Score) -> np.ndarray:
    position = {unit: i for i, unit in enumerate(group.units)}
    scores = np.zeros(len(group.units))
    for name in group.layers:
        node = graph[name]
        assert isinstance(node, Layer)
        values = score(node)
        for channel, root in enumerate(variables.roots(name)):
            if root in position:
                scores[position[root]] += values[channel]
    return scores


def _remove(graph: Graph, variables: _Variables, removed: set[int]) -> Graph:
    nodes: list[Node] = []
    shapes: dict[str, ir.Shape] = {}
    masks = {node.name: np.array([r not in removed for r in variables.roots(node.name)]) for node in graph.nodes}
    for node in graph.nodes:
        smaller = _slice(node, masks[node.inputs[0]] if node.inputs else masks[node.name], masks[node.name])
        if not isinstance(node, ir.Input):
            smaller = dataclasses.replace(smaller, shape=infer_shape(smaller, [shapes[i] for i in node.inputs]))
        shapes[node.name] = smaller.shape
        nodes.append(smaller)
    return verify(dataclasses.replace(graph, nodes=tuple(nodes)), Stage.FLOAT)


def _slice(node: Node, inner: np.ndarray, outer: np.ndarray) -> Node:
    """``node`` without the input channels outside ``inner`` and the output channels outside ``outer``."""
    match node:
        case ir.Conv2d() if node.groups > 1:
            groups = int(outer.sum()) if _is_depthwise(node) else node.groups
            return dataclasses.replace(node, weight=node.weight[outer].copy(), bias=node.bias[outer], groups=groups)
        case ir.Conv2d() | ir.Linear():
            return dataclasses.replace(node, weight=node.weight[outer][:, inner].copy(), bias=node.bias[outer])
        case ir.TTConv2d():
            cores = list(node.cores)
            cores[0] = np.compress(inner, cores[0], axis=1 + node.grouping[0].index("I"))
            cores[-1] = np.compress(outer, cores[-1], axis=1 + node.grouping[-1].index("O"))
            return dataclasses.replace(node, cores=tuple(cores), bias=node.bias[outer])
        case ir.TTLinear():
            pair = (node.cores[0][:, inner].copy(), node.cores[1][:, outer].copy())
            return dataclasses.replace(node, cores=pair, bias=node.bias[outer])
        case ir.BatchNorm():
            arrays = {name: getattr(node, name)[outer] for name in ("gamma", "beta", "mean", "var")}
            return dataclasses.replace(node, **arrays)
    return node
