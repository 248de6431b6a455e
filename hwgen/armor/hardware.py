"""What a network costs on one accelerator configuration of one board, by the cost model."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

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
from hwgen.search.refine import ProgramCycles, program_cycles, skeleton
from hwgen.search.search import search


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Predicted cost of a network; everything encrypted.

    Args:
        cold, steady: cycles of a cold and of a following frame.
        dsp: multipliers of the configuration.
        memory: bytes on the chip that the network needs: its weight lines and its activations.
        energy_uj: of a following frame; an estimate from published figures (``hwgen.cost.energy``).
        macs, parameters: logical, as ``hwgen.ir.count`` defines them.
    """

    cold: float
    steady: float
    dsp: float
    memory: float
    energy_uj: float
    macs: int
    parameters: int

    @property
    def cycles(self) -> float:
        """What the latency objective minimises: the mean of a cold and a following frame."""
        return (self.cold + self.steady) / 2

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Gains:
    """How much a relative saving of each counts, against the network before any pruning on the same configuration.

    The array's multipliers belong to the configuration; they are saved when it is searched again between two rounds of
    pruning, and count there. Energy makes steps worth something that save no cycle because a word of the array holds
    the removed channels anyway.
    """

    cycles: float = 1.0
    dsp: float = 0.25
    memory: float = 0.25
    energy: float = 0.1

    def __post_init__(self) -> None:
        if min(asdict(self).values()) < 0 or sum(asdict(self).values()) <= 0:
            raise HwgenError(f"weights {asdict(self)}", where="--gain", allowed="not negative, one above 0")

    def of(self, before: Cost, after: Cost, scale: Cost) -> float:
        """Weighted relative savings of ``after`` over ``before``, in shares of ``scale``."""
        return sum(weight * (getattr(before, name) - getattr(after, name)) / max(getattr(scale, name), 1e-12)
                   for name, weight in (("cycles", self.cycles), ("dsp", self.dsp), ("memory", self.memory),
                                        ("energy_uj", self.energy)))


class Hardware:
    """A configuration on a board.

    Args:
        board, system: what runs the network.
    """

    def __init__(self, board: Board, system: SystemConfig) -> None:
        self.board, self.system = board, system
        self._table = ConfigTable.of([system])
        self._resources = estimate(self._table, board, key_bits=system.engine.aes_key_bits)
        self._known: dict[tuple[Any, ...], Cost] = {}

    @classmethod
    def search(cls, graph: Graph, board: Board, objective: str) -> Hardware:
        """The configuration that the search chooses for a network."""
        return cls(board, search(graph, board, goal=objective, engines=1).chosen.system)

    @property
    def granules(self) -> tuple[int, ...]:
        """Numbers of channels that the array digests whole: a word, and the columns of a tile (half of them where two
        pixels share them)."""
        engine = self.system.engine
        return tuple(sorted({engine.p_i, max(engine.p_o // 2, 1), engine.p_o}))

    def resources(self) -> dict[str, float]:
        """Estimated resources of the configuration."""
        return self._resources.row(0).to_dict()

    def cost(self, graph: Graph) -> Cost:
        """Predicted cost of a float graph.

        Raises:
            HwgenError: its feature maps do not fit, not even in strips.
        """
        key = _shapes(graph)
        if key not in self._known:
            self._known[key] = self._cost(graph)
        return self._known[key]

    def program(self, graph: Graph) -> ProgramCycles | None:
        """Cycles of the compiled program, which are nearer to the simulated ones than the model's, and slower to have;
        None if it cannot be compiled for this configuration."""
        network = network_work(graph)
        memory = MemoryModel.of(self.board)
        found = network_cost(network, self._table, memory, self.board.packing)
        choices = {name: network.variants[name][int(number[0])].choice for name, number in found.choices.items()}
        return program_cycles(skeleton(graph, choices), self.system, memory, None)

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


def _shapes(graph: Graph) -> tuple[Any, ...]:
    """What the cost depends on: structure and shapes, not the weights' values."""
    found = []
    for node in graph.nodes:
        cores = getattr(node, "cores", ())
        weight = getattr(node, "weight", None)
        found.append((node.name, node.op, node.shape, tuple(c.shape for c in cores),
                      () if weight is None else weight.shape))
    return tuple(found)
