"""How many multipliers every stage gets so that a frame that is alone is through as early as can be.

The frame rate is a matter of the slowest stage alone. The latency is one of all: a stage whose map comes late ends
late, and the last ones, whose windows are whole maps, begin when everybody else has nothing left to do. The model is
the one of ``hwgen.stream.queues``: a stage works at an even pace, from a begin that lets it never wait. Begin and pace
of every stage are variables of an integer programme, so what is best for all of them together is found, not guessed.
Weights are loaded before the first frame, so their lines count, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import csr_array, vstack

from hwgen.config.pipeline import INPUT, StageConfig
from hwgen.stream.folding import GAP, Option
from hwgen.stream.queues import rows_needed

#: (share of the source's frame, share of the stage's own): that much must be there when that much is done
Relation = tuple[float, float]
#: how much of a frame's cycles the resources of a whole board are worth: of foldings that are as quick, the smaller one
THRIFT = 0.01
#: how long a folding is looked for: a good one is among the first ones, and where none is found there is hardly one
NODES = 500
#: of programmes with more foldings than ``LARGE`` (a MobileNet has 7,000), every stage's ``KEPT`` ones that cost least
#: beside the relaxed optimum are looked at: what comes out is as good, in seconds instead of a minute
LARGE, KEPT = 4000, 8


@dataclass(frozen=True, kw_only=True)
class Quickest:
    """Args:
        cycles: from the input's first pixel to the last result, in the model of this file.
        lines: of the weight stream; cost: resources (``NAMES``).
        value: what was minimised.
        stages: the foldings; (): a relaxed solution, between foldings.
    """

    cycles: float
    lines: float
    cost: np.ndarray
    value: float
    stages: tuple[StageConfig, ...] = ()


@cache
def relations(stage: StageConfig) -> tuple[Relation, ...]:
    """Of all windows those that bind: with an even pace on both sides, the others follow."""
    pixels = stage.height * stage.width
    if stage.whole:
        return (0.0, 0.0), ((pixels - 1) / pixels, (pixels - 1) / pixels)
    stride, behind = stage.stride[1], stage.kernel[1] - stage.padding[2]
    # the first window of a row, the first one that sees its last column, the last one: between them needs are linear
    reaches = min(stage.out_width - 1, max(0, -(-(stage.width - behind) // stride)))
    found = []
    for row in range(stage.out_height):
        last_row = rows_needed(stage, row) - 1
        for x in {0, max(0, reaches - 1), reaches, stage.out_width - 1}:
            last_column = min(stage.width, x * stride + behind) - 1
            found.append(((last_row * stage.width + last_column) / pixels,
                          (row * stage.out_width + x) / stage.outputs))
    return _binding(found)


def _binding(points: Sequence[Relation]) -> tuple[Relation, ...]:
    """Those on the upper left hull: begin >= source * their pace - done * own pace has its largest value there."""
    hull = list[Relation]()
    for need, done in sorted(points, key=lambda p: (p[1], -p[0])):
        if hull and done == hull[-1][1]:
            continue
        while len(hull) > 1 and (hull[-1][0] - hull[-2][0]) * (done - hull[-2][1]) <= \
                (need - hull[-2][0]) * (hull[-1][1] - hull[-2][1]):
            hull.pop()
        hull.append((need, done))
    return tuple(hull)


class LatencyProblem:
    """The integer programme. Variables: one per option, then the begin of every stage; the input begins at 0.

    Args:
        options: of every stage.
        have: resources that there are (``NAMES``).
        pixel_cycles: from pixel to pixel of the input; line_cycles: of a line of weights, before the first frame.
            A cold and a following frame count alike.
    """

    def __init__(self, options: Sequence[Sequence[Option]], have: np.ndarray, pixel_cycles: float, line_cycles: float,
                 ) -> None:
        used = have > 0
        able = options if used.all() else [
            [option for option in one if not option.cost[~used].any()] for one in options]
        self.possible = all(able)
        if not self.possible:
            return
        self.stages = [one[0].stage for one in able]
        self.flat = [option for one in able for option in one]
        self.first = np.cumsum([0, *(len(one) for one in able)])
        self.count, self.size = len(self.flat), len(self.flat) + len(able)
        self.number = {stage.name: n for n, stage in enumerate(self.stages)}
        source = next(stage for stage in self.stages if INPUT in (stage.source, stage.residual))
        self.input_cycles = source.height * source.width * pixel_cycles
        self.pace = np.array([option.cycles for option in self.flat], float)
        self.late = np.array([option.late for option in self.flat], float)
        self.lines = np.array([option.lines for option in self.flat], float)
        self.cost = np.array([option.cost for option in self.flat]).T
        self.shares = self.cost[used] / have[used, None]
        last = self.stages[-1]
        self.last, _ = self._there(last.name, (last.outputs - 1) / last.outputs)
        self.value = self.last.copy()
        self.value[:self.count] += line_cycles / 2 * self.lines

    def relaxed(self) -> Quickest | None:
        """The optimum if a stage could be a mixture of foldings: a bound, smooth in the network's sizes, soon found."""
        return self._solve(self.value, whole=False) if self.possible else None

    def solve(self, bound: Quickest) -> Quickest | None:
        """The foldings with which the last result is there first; None: they do not fit, or none were found.

        Args:
            bound: what ``relaxed`` found; the scale of ``THRIFT``.
        """
        value = self.value.copy()
        value[:self.count] += THRIFT * bound.value * self.shares.sum(axis=0)
        if self.count <= LARGE:
            return self._solve(value, whole=True)
        return self._solve(value, whole=True, kept=self._promising(value)) or self._solve(value, whole=True)

    def _promising(self, objective: np.ndarray) -> np.ndarray:
        """Which foldings, bool [count], are among the ``KEPT`` of their stage with the lowest reduced costs."""
        owner, order, room = self._constraints()
        found = linprog(objective, A_eq=owner.A, b_eq=np.ones(len(self.stages)),
                        A_ub=vstack([-order.A, room.A]), b_ub=np.r_[-order.lb, np.ones(len(self.shares))])
        kept = np.zeros(self.count, bool)
        if found.x is None:
            return ~kept
        reduced = found.lower.marginals[:self.count]
        for begin, end in pairwise(self.first):
            kept[begin + np.argsort(reduced[begin:end], kind="stable")[:KEPT]] = True
        return kept

    def _solve(self, objective: np.ndarray, *, whole: bool, kept: np.ndarray | None = None) -> Quickest | None:
        integral = np.zeros(self.size)
        integral[:self.count] = whole
        most = np.full(self.size, np.inf)
        most[:self.count] = 1 if kept is None else kept
        result = milp(objective, integrality=integral, bounds=Bounds(np.zeros(self.size), most),  # type: ignore[arg-type]
                      constraints=self._constraints(), options={"mip_rel_gap": GAP, "node_limit": NODES})
        if result.x is None:
            return None
        taken = result.x[:self.count]
        return Quickest(
            cycles=float(self.last @ result.x), lines=float(self.lines @ taken), cost=self.cost @ taken,
            value=float(self.value @ result.x),
            stages=tuple(o.stage for o, x in zip(self.flat, taken, strict=True) if x > 0.5) if whole else ())

    def _there(self, name: str, share: float) -> tuple[np.ndarray, float]:
        """When ``share`` of the results of ``name`` are there: coefficients and a constant."""
        row = np.zeros(self.size)
        if name == INPUT:
            return row, share * self.input_cycles
        n = self.number[name]
        stage, mine = self.stages[n], slice(self.first[n], self.first[n + 1])
        if stage.whole:
            share = (stage.pixels_per_output - 1) / stage.pixels_per_output
        row[self.count + n] = 1.0
        row[mine] = share * self.pace[mine] + self.late[mine]
        return row, 0.0

    def _constraints(self) -> list[LinearConstraint]:
        """One option per stage, all of them on the board; nobody needs what is not there yet."""
        rows, least = list[np.ndarray](), list[float]()
        owner = np.zeros((len(self.stages), self.size))
        for n, stage in enumerate(self.stages):
            mine = slice(self.first[n], self.first[n + 1])
            owner[n, mine] = 1
            end = (stage.outputs - 1) / stage.outputs
            needs = [(stage.source, relations(stage))]
            if stage.residual:
                needs.append((stage.residual, ((0.0, 0.0), (end, end))))
            for name, pairs in needs:
                for need, done in pairs:
                    row, constant = self._there(name, need)
                    row = -row
                    row[self.count + n] += 1.0
                    row[mine] += done * self.pace[mine]
                    rows.append(row)
                    least.append(constant)
        room = np.c_[self.shares, np.zeros((len(self.shares), len(self.stages)))]
        order = LinearConstraint(csr_array(np.array(rows)), np.array(least), np.inf)  # type: ignore[arg-type]
        return [LinearConstraint(csr_array(owner), 1, 1), order, LinearConstraint(csr_array(room), -np.inf, 1)]
