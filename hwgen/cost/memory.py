"""The external memory as the cost model sees it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hwgen.config.board import Board

#: cycles of a write's answer, as simulated
WRITE_LATENCY = 20


@dataclass(frozen=True, kw_only=True)
class MemoryModel:
    """The external memory: bytes per cycle in one pool for everything; cycles to a read's first beat and of a write's
    answer."""

    bytes_per_cycle: float
    latency: int
    write_latency: int = WRITE_LATENCY

    @classmethod
    def of(cls, board: Board) -> MemoryModel:
        """The memory of a board."""
        return cls(bytes_per_cycle=board.bytes_per_cycle, latency=board.latency_cycles)

    def share(self, engines: int) -> MemoryModel:
        """What one of so many equal engines has of it while all are at work."""
        return replace(self, bytes_per_cycle=self.bytes_per_cycle / engines)
