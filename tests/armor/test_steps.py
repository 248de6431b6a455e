"""Which steps are looked at: few, and still those that looking at all of them would choose."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import hwgen.armor.steps as steps_module
from hwgen.armor.groups import groups, shrink
from hwgen.armor.hardware import Cost, Design, Gains
from hwgen.armor.saliency import Saliency, Scores
from hwgen.armor.steps import Known, best_step, prune_once
from hwgen.ir.count import count
from hwgen.ir.nodes import Graph
from hwgen.passes.prune_branches import branches
from tests.helpers.networks import residual_network


class Priced:
    """Hardware that takes as many cycles as there are MACs."""

    fixed: dict[str, Any] = {}  # noqa: RUF012
    granules: tuple[int, ...] = ()

    def __init__(self) -> None:
        self.asked: set[tuple[int, ...]] = set()

    def cost(self, graph: Graph) -> Cost:
        totals = count(graph)
        self.asked.add(tuple(n.shape[0] for n in graph.nodes if n.shape))
        return Cost(cold=totals.macs, steady=totals.macs, dsp=1, memory=totals.parameters, energy_uj=totals.macs,
                    macs=totals.macs, parameters=totals.parameters)

    def design(self, graph: Graph) -> Design:
        raise AssertionError("steps are priced, not designed")


def scores_of(graph: Graph, seed: int) -> Scores:
    rng = np.random.default_rng(seed)
    return Scores(groups={g.name: Saliency(units=rng.random(g.size) ** 2 * 10.0 ** rng.uniform(-2, 1))
                          for g in groups(graph)})


def run(graph: Graph, hardware: Priced, seed: int, guided: bool) -> list[tuple[str, int, int]]:
    _, taken = prune_once(graph, lambda g: scores_of(g, seed), shrink, hardware, guided=guided, gains=Gains(),
                          granule=2, start=graph, stride=0.5)
    return [(s.group, s.before, s.after) for s in taken]


@pytest.mark.parametrize("guided", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_the_same_steps_as_with_all_of_them(seed: int, guided: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = residual_network((8, 16), 8)
    hardware, all_of_them = Priced(), Priced()
    found = run(graph, hardware, seed, guided)
    monkeypatch.setattr(steps_module, "MARGIN", np.inf)
    assert run(graph, all_of_them, seed, guided) == found
    assert len(found) > 2
    if guided:
        assert len(hardware.asked) < len(all_of_them.asked)


def test_gains_that_were_larger_are_corrected_before_they_decide() -> None:
    graph = residual_network((8, 16), 8)
    hardware, scores = Priced(), scores_of(graph, 0)
    known = dict[tuple[str, int], Known]()
    common: dict[str, Any] = {"guided": True, "gains": Gains(), "granule": 2, "start": graph}
    first = best_step(graph, scores, hardware, known=known, **common)
    assert first is not None
    assert {name for name, _ in known} == {g.name for g in groups(graph)}
    exaggerated = {key: replace(cut, gain=1.9 * cut.gain) for key, cut in known.items()}
    again = best_step(graph, scores, hardware, known=exaggerated, **common)
    assert again == first
    assert exaggerated[first.group, 0] == known[first.group, 0]  # corrected


def test_what_gained_nothing_is_always_looked_at_again() -> None:
    graph = residual_network((8, 16), 8)
    hardware, scores = Priced(), scores_of(graph, 1)
    common: dict[str, Any] = {"guided": True, "gains": Gains(), "granule": 2, "start": graph}
    known = {(g.name, 0): Known(gain=0.0, worse=1.0) for g in groups(graph)}
    assert best_step(graph, scores, hardware, known=known, **common) == best_step(graph, scores, hardware, **common)


def test_a_branch_goes_where_it_costs_more_than_it_is_worth() -> None:
    """Only where the damage is measured, by guided steps that may; then it is gone, and the next step is another."""
    graph = residual_network((8, 16), 8)
    estimated = scores_of(graph, 0)
    layers = len(graph.nodes)

    def damage(smaller: Graph) -> float:
        return 1e-9 if len(smaller.nodes) < layers else 1e9

    scores = replace(estimated, damage=damage)
    common: dict[str, Any] = {"gains": Gains(), "granule": 2, "start": graph}
    step = best_step(graph, scores, Priced(), guided=True, **common)
    assert step is not None and (step.before, step.after, step.removed) == (1, 0, (0,))
    assert step.group in branches(graph) and step.saliency == pytest.approx(1e-9)
    smaller = shrink(graph, {step.group: step.removed})
    assert step.gain == pytest.approx(Gains().of(*(Priced().cost(g) for g in (graph, smaller, graph))))
    for other in (best_step(graph, scores, Priced(), guided=True, depth=False, **common),
                  best_step(graph, scores, Priced(), guided=True, barred=[(b, 0) for b in branches(graph)], **common),
                  best_step(graph, scores, Priced(), guided=False, **common),
                  best_step(graph, estimated, Priced(), guided=True, **common)):
        assert other is not None and other.group not in branches(graph)
    taken = prune_once(graph, lambda g: replace(scores_of(g, 0), damage=damage), shrink, Priced(), guided=True,
                       gains=Gains(), granule=2, start=graph, stride=0.9, most=2)[1]
    assert taken[0] == step and taken[1].group != step.group


def test_a_group_is_not_cut_as_far_as_is_barred() -> None:
    graph = residual_network((8, 16), 8)
    common: dict[str, Any] = {"guided": True, "gains": Gains(), "granule": 2, "start": graph}
    first = best_step(graph, scores_of(graph, 3), Priced(), **common)
    assert first is not None
    found = best_step(graph, scores_of(graph, 3), Priced(), barred=[(first.group, first.after)], **common)
    assert found is not None and found.group != first.group
    assert best_step(graph, scores_of(graph, 3), Priced(), barred=[(first.group, first.after - 1)], **common) == first
    assert best_step(graph, scores_of(graph, 3), Priced(), barred=[(g.name, g.size) for g in groups(graph)],
                     **common) is None


@pytest.mark.parametrize("guided", [True, False])
def test_what_is_measured_decides(guided: bool) -> None:
    """The cut that the estimate prefers turns out to be harmful; the next time it waits until the others are worse."""
    graph = residual_network((8, 16), 8)
    estimated, measured = scores_of(graph, 2), list[int]()
    common: dict[str, Any] = {"guided": guided, "gains": Gains(), "granule": 2, "start": graph, "depth": False}
    first = best_step(graph, estimated, Priced(), **common)
    assert first is not None
    sizes = {g.name: g.size for g in groups(graph)}

    def damage(smaller: Graph) -> float:
        (name,) = (g.name for g in groups(smaller) if g.size < sizes[g.name])
        size = sizes[name] - next(g.size for g in groups(smaller) if g.name == name)
        order = np.sort(estimated.groups[name].units)
        measured.append(size)
        return float(order[:size].sum()) * (1e6 if name == first.group else 3.0)

    known = dict[tuple[str, int], Known]()
    scores = replace(estimated, damage=damage)
    found = best_step(graph, scores, Priced(), known=known, **common)
    assert found is not None and found.group != first.group
    assert known[first.group, 0].worse == pytest.approx(1e6) and known[found.group, 0].worse == pytest.approx(3.0)
    assert found.saliency == pytest.approx(3.0 * estimated.groups[found.group].of(found.removed))
    looked = len(measured)
    assert looked == len(sizes)
    assert best_step(graph, scores, Priced(), known=known, **common) == found
    assert len(measured) - looked < looked
