"""Cycles of an operation that runs in strips, for many configurations at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from hwgen.cost.arrays import ConfigTable
from hwgen.cost.constants import CycleConstants
from hwgen.cost.memory import MemoryModel
from hwgen.cost.spill import Strips

#: share of the stores that the array keeps waiting; of the first load and the last store, what nothing hides
STORES_WAIT, EDGES = 0.5, 0.5
_NOTHING = Strips(count=0, loads=0.0, stores=0.0, planes_in=0, planes_out=0)


@dataclass(frozen=True)
class Surroundings:
    """Configurations, the memory, the latency of the array's pipeline [N], constants."""

    shapes: ConfigTable
    memory: MemoryModel
    latency: np.ndarray
    constants: CycleConstants


@dataclass(frozen=True)
class StripTable:
    """``Strips`` of one operation on every configuration, [N] each; all 0 where everything of it is on the chip."""

    count: np.ndarray
    loads: np.ndarray
    stores: np.ndarray
    planes_in: np.ndarray
    planes_out: np.ndarray
    rows_in: np.ndarray
    rows_out: np.ndarray

    @classmethod
    def of(cls, every: Sequence[Strips | None]) -> StripTable:
        """One configuration each; None: not in strips."""
        return cls(*(np.array([getattr(one or _NOTHING, f.name) for one in every], np.float64) for f in fields(cls)))

    def take(self, row: np.ndarray) -> StripTable:
        """The configurations at ``row``."""
        return StripTable(*(getattr(self, f.name)[row] for f in fields(self)))

    @property
    def used(self) -> np.ndarray:
        """Whether the operation runs in strips."""
        return self.count > 0

    def cycles(self, compute: np.ndarray, steps: np.ndarray, around: Surroundings) -> np.ndarray:
        """Cycles of the operation, which takes ``compute`` in the array; [N].

        Loads come while the array computes, as far as it does not write results (in the last one of ``steps`` steps);
        two of them follow one another before the array must have retired what lay in their buffers. A store waits
        while the array reads the same bank by pairs; ``STORES_WAIT`` says how much of that the array then waits for.
        Protected rows are segments of their own, with a tag, at the rate of their units.
        """
        shapes, memory, latency, c = around.shapes, around.memory, around.latency, around.constants
        rate = np.minimum(shapes.axi_ports * 16.0, memory.bytes_per_cycle)
        lead = memory.latency + latency + c.request + c.landed + c.wait + c.segment_issue
        protected, cipher = shapes.protected, np.maximum(shapes.spill_aes_cycles, 1)
        words = self.loads
        planes = self.planes_in * (c.segment_issue + c.plane_issue)
        planes = planes + protected * (self.rows_in - self.planes_in) * c.segment_issue
        bytes_in = self.loads * shapes.p_i + protected * 16 * self.rows_in
        bytes_out = self.stores * shapes.p_i + protected * 16 * self.rows_out
        loads = np.maximum(np.maximum(words, bytes_in / np.minimum(rate, shapes.axi_ports * 16.0 / cipher)), planes)
        loads = loads + self.count * (self.loads > 0) * lead / 2
        stores = self.stores * np.maximum(np.maximum(1, cipher * shapes.p_i / 16), shapes.p_i / memory.bytes_per_cycle)
        stores = stores + protected * self.rows_out * (1 + c.row_seal)
        stores = stores + self.planes_out * (c.store_lead + c.store_plane)
        moved = (bytes_in + bytes_out) / rate
        answer = memory.write_latency + c.answer + c.wait
        waits = STORES_WAIT * (shapes.p_o > shapes.p_i) * (stores + self.count * (self.stores > 0) * answer)
        count = np.maximum(self.count, 1)
        first = (self.loads > 0) * (lead + loads / count)
        last = (self.stores > 0) * (latency + stores / count + answer)
        busy = np.maximum(np.maximum(compute + waits, loads), np.maximum(stores, moved))
        return np.where(self.used, busy + EDGES * (first + last), compute)
