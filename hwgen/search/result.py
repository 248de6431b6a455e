"""What a search considers, knows and returns."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.config.board import Board, Resources
from hwgen.config.system import SystemConfig
from hwgen.cost.arrays import ConfigTable
from hwgen.cost.network import NetworkCost
from hwgen.cost.resources import ResourceTable
from hwgen.passes.plan import TTChoice
from hwgen.search.objectives import Figures


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One configuration with its predicted figures.

    Args:
        config: of every engine; engines: how many.
        cold_cycles, steady_cycles: of a frame that has the memory to itself.
        interval_cycles: cycles per frame of all engines at work.
        model_cold_cycles, model_steady_cycles: the first two by the analytic model.
        compiled: the first three are those of the compiled program, otherwise of the model.
        resources, absorbable: of all engines.
    """

    config: AcceleratorConfig
    engines: int
    cold_cycles: int
    steady_cycles: int
    interval_cycles: int
    model_cold_cycles: int
    model_steady_cycles: int
    compiled: bool
    resources: Resources
    absorbable: Resources
    energy_uj: float

    @property
    def system(self) -> SystemConfig:
        """The design."""
        return SystemConfig(engine=self.config, engines=self.engines)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "config": self.system.to_dict()}


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """Args:
        chosen: the winner; front: the winner, then the non-dominated candidates, best first.
        choices: how every TT layer executes on the winner.
        considered, feasible: numbers of configurations; seconds: the search took.
        explanation: why the winner won, for people.
    """

    chosen: Candidate
    front: tuple[Candidate, ...]
    choices: dict[str, TTChoice]
    considered: int
    feasible: int
    seconds: float
    explanation: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "chosen": self.chosen.to_dict(), "front": [c.to_dict() for c in self.front],
            "choices": {n: {"execution": c.execution.value, "grouping": list(c.grouping or ())}
                        for n, c in self.choices.items()},
            "considered": self.considered, "feasible": self.feasible, "seconds": self.seconds,
            "explanation": self.explanation,
        }


@dataclass(frozen=True)
class Evaluated:
    """Everything the search knows of its configurations."""

    table: ConfigTable
    cost: NetworkCost
    resources: ResourceTable
    figures: Figures
    fits: np.ndarray
    board: Board
    base: AcceleratorConfig

    def candidate(self, row: int) -> Candidate:
        """One row."""
        cold, steady = round(float(self.cost.cold[row])), round(float(self.cost.steady[row]))
        return Candidate(
            config=self.table.config(row, self.base), engines=int(self.table.engines[row]),
            cold_cycles=cold, steady_cycles=steady, interval_cycles=round(float(self.figures.interval[row])),
            model_cold_cycles=cold, model_steady_cycles=steady, compiled=False, resources=self.resources.row(row),
            absorbable=self.resources.absorbable(row), energy_uj=round(float(self.figures.energy[row]), 2))
