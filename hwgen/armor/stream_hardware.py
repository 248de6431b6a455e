"""The streaming pipeline: folded anew for every network."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwgen.armor.hardware import Cost, Design, shapes_of
from hwgen.config.accelerator import AcceleratorConfig
from hwgen.config.board import Board
from hwgen.config.system import SystemConfig
from hwgen.cost.energy import energy_uj
from hwgen.cost.resources import NAMES
from hwgen.ir.count import count
from hwgen.ir.nodes import Graph
from hwgen.stream.folding import OptionTable
from hwgen.stream.search import StreamCandidate, bound_pipeline, search_pipeline

#: bytes of a block memory of 36 kbit
_BLOCK_BYTES = 36 * 1024 // 8
#: nothing but the style: stages and foldings follow the network
FIXED = {"style": "stream"}


class StreamHardware:
    """The board, for pipelines.

    Args:
        board: whose multipliers and memories the stages share.
        objective: of the search for a pipeline.
    """

    def __init__(self, board: Board, objective: str = "latency") -> None:
        self.board, self.objective = board, objective
        self.fixed: dict[str, Any] = dict(FIXED)
        self._options = OptionTable()
        self._known: dict[tuple[Any, ...], StreamCandidate] = {}
        self._costs: dict[tuple[Any, ...], Cost] = {}

    @property
    def granules(self) -> tuple[int, ...]:
        """None beyond those that are asked for: the folding adapts to any number of channels, best to even ones."""
        return ()

    def cost(self, graph: Graph) -> Cost:
        """Predicted cost of a float graph; of the latency a bound, which is even where foldings are not.

        Raises:
            HwgenError: a node that no stage can do, or weights that the board has no room for.
        """
        key = shapes_of(graph)
        if key not in self._costs:
            self._costs[key] = self._bound(graph) if self.objective == "latency" else self._found(graph)
        return self._costs[key]

    def _found(self, graph: Graph) -> Cost:
        """Of the pipeline that the search finds."""
        found, totals = self.design(graph), count(graph)
        return Cost(cold=found.cold, steady=found.steady, dsp=found.resources["dsp"], memory=found.memory,
                    energy_uj=found.energy_uj, macs=totals.macs, parameters=totals.parameters)

    def _bound(self, graph: Graph) -> Cost:
        bound, totals = bound_pipeline(graph, self.board, AcceleratorConfig(), self._options), count(graph)
        source = graph.input_node().shape
        taken = dict(zip(NAMES, bound.cost, strict=True))
        energy = energy_uj(macs=totals.macs, dram_bytes=np.array([float(np.prod(source))]),
                           cycles=np.array([bound.cycles]), clock_mhz=self.board.clock_mhz,
                           lut=np.array([taken["lut"]]))
        return Cost(cold=bound.cycles + 2 * (bound.value - bound.cycles), steady=bound.cycles, dsp=taken["dsp"],
                    memory=taken["bram36"] * _BLOCK_BYTES, energy_uj=float(energy[0]), macs=totals.macs,
                    parameters=totals.parameters)

    def design(self, graph: Graph) -> Design:
        """The pipeline that the search finds for it."""
        found = self.candidate(graph)
        return Design(cold=found.cold_cycles, steady=found.steady_cycles, interval=found.interval_cycles,
                      origin="program", memory=found.resources.bram36 * _BLOCK_BYTES, energy_uj=found.energy_uj,
                      system=SystemConfig(engine=found.config), resources=found.resources.to_dict())

    def candidate(self, graph: Graph) -> StreamCandidate:
        """The pipeline of a float graph, searched once for all networks of the same shapes."""
        key = shapes_of(graph)
        if key not in self._known:
            self._known[key] = search_pipeline(graph, self.board, AcceleratorConfig(), options=self._options,
                                               objective=self.objective)
        return self._known[key]
