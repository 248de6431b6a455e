"""Steps of pruning: which units of which group, or which branch, go next."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwgen.armor.groups import groups, shrink
from hwgen.armor.hardware import Gains, Hardware
from hwgen.armor.saliency import Scores
from hwgen.ir.count import Totals, count
from hwgen.ir.nodes import Graph
from hwgen.passes.prune_branches import branches

#: a step that gains less (in shares of the whole network) is none
_LEAST = 1e-6
#: how much better than it was a cut may have become since it was looked at last
MARGIN = 2.0


@dataclass(frozen=True, kw_only=True)
class Step:
    """Args:
        group: its name, or the branch's; before, after: units that it had and has (a branch: 1 and 0).
        removed: the units that go, numbered within the group.
        saliency: of all of them, measured where the method measures it.
        gain: what the hardware gains, or (plain methods) the mean share of MACs and parameters.
        score: what the choice minimises.
    """

    group: str
    before: int
    after: int
    removed: tuple[int, ...]
    saliency: float
    gain: float
    score: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, without the single units."""
        return {"group": self.group, "before": self.before, "after": self.after, "saliency": self.saliency,
                "gain": self.gain, "score": self.score}


def targets(size: int, granules: tuple[int, ...]) -> list[int]:
    """Smaller sizes that are whole multiples of a granule, largest first, one per granule."""
    found = {(-(-size // granule) - 1) * granule for granule in granules}
    return sorted((t for t in found if 0 < t < size), reverse=True)


@dataclass(frozen=True, kw_only=True)
class Cut:
    """What a step may be.

    Args:
        group, before, after, removed: as of ``Step``.
        number: which of the group's cuts.
        estimate: of the damage, from the units' effects.
    """

    group: str
    before: int
    after: int
    removed: tuple[int, ...]
    number: int
    estimate: float


@dataclass(frozen=True, kw_only=True)
class Known:
    """What a cut was like when it was looked at last.

    Args:
        gain: of it; worse: its saliency over the estimate from its units' effects.
    """

    gain: float
    worse: float


#: a group or branch, and the size to which (or below) it is not cut
Barred = tuple[str, int]


def cuts(graph: Graph, scores: Scores, hardware: Hardware, *, guided: bool, granule: int, depth: bool) -> list[Cut]:
    """All that may go next. Guided: every group cut to the multiples of what the array digests (and of ``granule``)
    and, with ``depth``, every branch, where the damage is measured (nothing estimates a branch's). Plain: ``granule``
    units of every group."""
    found = []
    for group in groups(graph):
        sizes = targets(group.size, (granule, *hardware.granules) if guided else (granule,))
        order = np.argsort(scores.groups[group.name].units, kind="stable")
        for number, size in enumerate(sizes):
            removed = tuple(int(u) for u in np.sort(order[:group.size - size]))
            found.append(Cut(group=group.name, before=group.size, after=size, removed=removed, number=number,
                             estimate=scores.groups[group.name].of(removed)))
    if guided and depth and scores.damage is not None:
        found += [Cut(group=name, before=1, after=0, removed=(0,), number=0, estimate=1.0) for name in branches(graph)]
    return found


def best_step(
    graph: Graph, scores: Scores, hardware: Hardware, *, guided: bool, gains: Gains, granule: int, start: Graph,
    depth: bool = True, barred: Collection[Barred] = (), known: dict[tuple[str, int], Known] | None = None,
) -> Step | None:
    """The step with the least saliency for what it gains; None if no step gains anything.

    Guided: the removed saliency is divided by the hardware's gain. Plain: it is divided by the number of units, as
    pruning that knows no hardware does.

    Args:
        granule: units that go at once at least; depth: whether branches may go (``cuts``).
        barred: how far groups may not be cut, and which branches may not go (size 0).
        start: the network before any pruning; gains are shares of what it costs on this hardware.
        known: of cuts that were looked at before, (group, which of its cuts); kept up to date. Those that are new or
            gained nothing are looked at first, then the others in the order of the scores that follow from it, until
            the next one's is ``MARGIN`` times the best: pricing a pipeline takes long, and a cut rarely becomes twice
            as good because of another one.
    """
    known = {} if known is None else known
    waiting = list[tuple[float, Cut]]()
    for cut in cuts(graph, scores, hardware, guided=guided, granule=granule, depth=depth):
        if any(cut.group == name and cut.after <= size for name, size in barred):
            continue
        before = known.get((cut.group, cut.number))
        waiting.append((0.0 if before is None or before.gain <= _LEAST else _score(
            before.worse * cut.estimate, cut.removed, guided=guided, gain=before.gain), cut))
    best: Step | None = None
    for expected, cut in sorted(waiting, key=lambda pair: pair[0]):
        if best is not None and expected > MARGIN * best.score:
            break
        smaller = shrink(graph, {cut.group: cut.removed})
        gain = plain_gain(graph, smaller, start) if not guided else gains.of(
            *(hardware.cost(g) for g in (graph, smaller, start)))
        saliency = cut.estimate if scores.damage is None else scores.damage(smaller)
        known[cut.group, cut.number] = Known(gain=gain, worse=saliency / cut.estimate if cut.estimate > 0 else 1.0)
        score = _score(saliency, cut.removed, guided=guided, gain=gain)
        if np.isfinite(score) and (best is None or score < best.score):
            best = Step(group=cut.group, before=cut.before, after=cut.after, removed=cut.removed, saliency=saliency,
                        gain=gain, score=score)
    return best


def _score(saliency: float, removed: tuple[int, ...], *, guided: bool, gain: float) -> float:
    """Removed saliency per gain, or per unit; infinite where nothing is gained."""
    if gain <= _LEAST:
        return np.inf
    return saliency / (gain if guided else len(removed))


def plain_gain(*graphs: Graph) -> float:
    """Mean share of the MACs and parameters of ``graphs[2]`` that go from ``graphs[0]`` to ``graphs[1]``."""
    before, after, start = (count(graph) for graph in graphs)
    return ((before.macs - after.macs) / start.macs + (before.parameters - after.parameters) / start.parameters) / 2


def _lost(before: Totals, after: Totals) -> float:
    return 1 - min(after.parameters / before.parameters, after.macs / before.macs)


def prune_once(
    graph: Graph, score: Callable[[Graph], Scores],
    remove: Callable[[Graph, Mapping[str, Collection[int]]], Graph], hardware: Hardware, *, guided: bool, gains: Gains,
    granule: int, start: Graph, stride: float, depth: bool = True, barred: Collection[Barred] = (), most: int = 64,
) -> tuple[Graph, tuple[Step, ...]]:
    """Steps, saliency measured anew before each, until they gain ``stride``; none if nothing gains anything.

    They also end when ``stride`` of the graph's present parameters or MACs is gone: of a network that is already small,
    gains (shares of what it was at first) are smaller than what it loses.

    Args:
        score: of a graph; remove: the graph without units, repaired or not; the others: see ``best_step``.
    """
    taken, begun, known = list[Step](), count(graph), dict[tuple[str, int], Known]()
    while len(taken) < most and sum(step.gain for step in taken) < stride and _lost(begun, count(graph)) < stride:
        step = best_step(graph, score(graph), hardware, guided=guided, gains=gains, granule=granule, start=start,
                         depth=depth, barred=barred, known=known)
        if step is None:
            break
        taken.append(step)
        graph = remove(graph, {step.group: step.removed})
    return graph, tuple(taken)
