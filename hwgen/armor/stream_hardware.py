"""The streaming pipeline: folded anew for every network."""

from __future__ import annotations

from typing import Any

from hwgen.armor.hardware import Cost, Design, shapes_of
from hwgen.config.accelerator import AcceleratorConfig
from hwgen.config.board import Board
from hwgen.config.system import SystemConfig
from hwgen.ir.count import count
from hwgen.ir.nodes import Graph
from hwgen.stream.folding import OptionTable
from hwgen.stream.search import StreamCandidate, search_pipeline

#: bytes of a block memory of 36 kbit
_BLOCK_BYTES = 36 * 1024 // 8
#: nothing but the style: stages and foldings follow the network
FIXED = {"style": "stream"}


class StreamHardware:
    """The board, for pipelines.

    Args:
        board: whose multipliers and memories the stages share.
    """

    def __init__(self, board: Board) -> None:
        self.board = board
        self.fixed: dict[str, Any] = dict(FIXED)
        self._options = OptionTable()
        self._known: dict[tuple[Any, ...], StreamCandidate] = {}

    @property
    def granules(self) -> tuple[int, ...]:
        """None beyond those that are asked for: the folding adapts to any number of channels, best to even ones."""
        return ()

    def cost(self, graph: Graph) -> Cost:
        """Predicted cost of a float graph.

        Raises:
            HwgenError: a node that no stage can do, or weights that the board has no room for.
        """
        found, totals = self.candidate(graph), count(graph)
        return Cost(cold=found.cold_cycles, steady=found.steady_cycles, dsp=found.resources.dsp,
                    memory=found.resources.bram36 * _BLOCK_BYTES, energy_uj=found.energy_uj, macs=totals.macs,
                    parameters=totals.parameters)

    def design(self, graph: Graph) -> Design:
        """The pipeline that the search finds for it."""
        found = self.candidate(graph)
        return Design(cold=found.cold_cycles, steady=found.steady_cycles, interval=found.interval_cycles,
                      origin="program", system=SystemConfig(engine=found.config), resources=found.resources.to_dict())

    def candidate(self, graph: Graph) -> StreamCandidate:
        """The pipeline of a float graph, searched once for all networks of the same shapes."""
        key = shapes_of(graph)
        if key not in self._known:
            self._known[key] = search_pipeline(graph, self.board, AcceleratorConfig(), options=self._options)
        return self._known[key]
