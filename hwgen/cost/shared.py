"""Several engines on one memory: cycles per frame of all of them at work."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwgen.config.accelerator import DspPacking
from hwgen.cost.arrays import ConfigTable
from hwgen.cost.memory import MemoryModel
from hwgen.cost.network import NetworkCost, network_cost
from hwgen.cost.work import NetworkWork


@dataclass(frozen=True)
class Shared:
    """Args:
        interval: [N] cycles per frame: a following frame of each engine with its share of the bandwidth, divided by the
            number of engines. An engine gets more than its share while others compute: this errs on the slow side.
    """

    interval: np.ndarray

    @classmethod
    def of(cls, network: NetworkWork, table: ConfigTable, alone: NetworkCost, memory: MemoryModel,
           packing: DspPacking) -> Shared:
        """Work out all rows of ``table``; ``alone`` is the cost of each engine with the whole memory."""
        interval = alone.steady.astype(np.float64)
        for engines in map(int, np.unique(table.engines)):
            if engines > 1:
                rows = np.flatnonzero(table.engines == engines)
                cost = network_cost(network, table.take(rows), memory.share(engines), packing)
                interval[rows] = cost.steady / engines
        return cls(interval)
