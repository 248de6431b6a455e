"""The tensor engine: one configuration, on which every network runs as a program."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwgen.armor.hardware import Cost, Design, shapes_of
from hwgen.config.board import Board
from hwgen.config.system import SystemConfig
from hwgen.cost.activation import activation_words
from hwgen.cost.arrays import ConfigTable
from hwgen.cost.energy import energy_uj
from hwgen.cost.memory import MemoryModel
from hwgen.cost.network import network_cost
from hwgen.cost.resources import estimate
from hwgen.cost.work import network_work
from hwgen.errors import HwgenError
from hwgen.ir.count import count
from hwgen.ir.nodes import Graph
from hwgen.search.refine import program_cycles, skeleton


class EngineHardware:
    """A configuration on a board.

    Args:
        board, system: what runs the network.
    """

    def __init__(self, board: Board, system: SystemConfig) -> None:
        self.board, self.system = board, system
        self.fixed: dict[str, Any] = system.to_dict()
        self._table = ConfigTable.of([system])
        self._resources = estimate(self._table, board, key_bits=system.engine.aes_key_bits)
        self._known: dict[tuple[Any, ...], Cost] = {}

    @property
    def granules(self) -> tuple[int, ...]:
        """Numbers of channels that the array digests whole: a word, and the columns of a tile (half of them where two
        pixels share them)."""
        engine = self.system.engine
        return tuple(sorted({engine.p_i, max(engine.p_o // 2, 1), engine.p_o}))

    def cost(self, graph: Graph) -> Cost:
        """Predicted cost of a float graph.

        Raises:
            HwgenError: its feature maps do not fit, not even in strips.
        """
        key = shapes_of(graph)
        if key not in self._known:
            self._known[key] = self._cost(graph)
        return self._known[key]

    def design(self, graph: Graph) -> Design:
        """The configuration with the cycles of the compiled program; those of the model if it cannot be compiled."""
        network, cost = network_work(graph), self.cost(graph)
        memory = MemoryModel.of(self.board)
        found = network_cost(network, self._table, memory, self.board.packing)
        choices = {name: network.variants[name][int(number[0])].choice for name, number in found.choices.items()}
        program = program_cycles(skeleton(graph, choices), self.system, memory, None)
        cold, steady = (float(found.cold[0]), float(found.steady[0])) if program is None else (
            program.cold, program.steady)
        return Design(cold=cold, steady=steady, interval=steady, origin="model" if program is None else "program",
                      memory=cost.memory, energy_uj=cost.energy_uj, system=self.system,
                      resources=self._resources.row(0).to_dict())

    def _cost(self, graph: Graph) -> Cost:
        network, engine, table = network_work(graph), self.system.engine, self._table
        found = network_cost(network, table, MemoryModel.of(self.board), self.board.packing)
        if not found.possible[0]:
            raise HwgenError("feature maps do not fit, not even in strips", where=graph.name,
                             hint="a larger board or configuration")
        energy = energy_uj(macs=network.macs, dram_bytes=found.dram_bytes_steady, cycles=found.steady,
                           clock_mhz=self.board.clock_mhz, lut=self._resources.lut)
        activations = 2 * activation_words(network, engine.p_i) * engine.p_i
        totals = count(graph)
        return Cost(
            cold=float(found.cold[0]), steady=float(found.steady[0]), dsp=float(self._resources.dsp[0]),
            memory=float(np.minimum(found.lines[0], engine.weight_lines) * engine.line_bytes + activations),
            energy_uj=float(energy[0]), macs=totals.macs, parameters=totals.parameters)
