"""Where the cycles of a simulated frame went, descriptor by descriptor, from what ``cycle_monitor.sv`` has written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hwgen.errors import HwgenError
from rtl_templates.engine.counters import EXCLUSIVE_COUNTERS

#: counts the cycles in which the unit beside the array works
BESIDE = "window_busy"
_COUNTER_BITS = 32
_WHERE = "cycles per descriptor"


@dataclass(frozen=True, kw_only=True)
class CycleRows:
    """Cycles of one frame in rows: the start, every compute descriptor of the array in program order, the end.

    A descriptor's row holds the cycles behind the last pixel issued for the descriptor before it, up to and including
    its own last one: fetching it, what it waited for, and issuing it. (Its results land later, behind issues of the
    next ones: those cycles are theirs.) The first descriptor's row begins with its first pixel. The start's row holds
    everything before that, from the start-register write on: keys, program, the first input and the first weights. The
    end's row is what follows the last pixel: results leaving the pipeline, stores, interrupt. Not every cycle of these
    two is in a class: the engine counts none while it is held in reset, and none once the program has ended.

    Args:
        counters: names of the columns, as in ``rtl_templates.engine.counters.COUNTERS``.
        cycles: int64 [descriptors + 2].
        counts: int64 [descriptors + 2, counters], in cycles.
        beside: int64 [descriptors of the unit beside the array], in program order: cycles in which it worked on each.
            They are part of the rows of the descriptors that the array was at, in the column of ``BESIDE``.
    """

    counters: tuple[str, ...]
    cycles: np.ndarray
    counts: np.ndarray
    beside: np.ndarray

    @property
    def descriptors(self) -> int:
        """Number of descriptors of the array."""
        return len(self.cycles) - 2


def cycle_rows(events: str, registers: Mapping[str, int], counters: Sequence[str]) -> CycleRows:
    """The rows of a frame.

    Args:
        events: lines of ``cycle_monitor.sv`` of this frame.
        registers: the hardware's counters at the end of the frame, as the driver has read them.
        counters: names, in the order of the monitor's vector.

    Raises:
        HwgenError: the events are not those of one complete frame, do not add up to the hardware's own counters, or
            leave a cycle of a descriptor in no class or in two (``EXCLUSIVE_COUNTERS``).
    """
    every = [line.split() for line in events.splitlines()]
    lines = [line for line in every if line[0] != "beside"]
    kinds = [line[0] for line in lines]
    issued = len(lines) - 2
    if kinds != ["first", *["issued"] * issued, "finished"] or issued < 1:
        raise HwgenError(f"{len(lines)} events are not those of one frame", where=_WHERE,
                         allowed="first, one issued per descriptor, finished")
    times = np.array([int(line[1]) for line in lines], np.int64)
    values = np.array([_unpack(line[2], len(counters)) for line in lines], np.int64)
    final = np.array([registers[name] for name in counters], np.int64)
    if not np.array_equal(values[-1], final):
        raise HwgenError(f"the monitor saw {values[-1].tolist()}, the registers hold {final.tolist()}", where=_WHERE)
    edges = np.concatenate([[0], times[:-1], [registers["cycles"]]])
    levels = np.vstack([np.zeros_like(final), values[:-1], final])
    beside = [_unpack(line[2], len(counters))[counters.index(BESIDE)] for line in every if line[0] == "beside"]
    rows = CycleRows(counters=tuple(counters), cycles=np.diff(edges), counts=np.diff(levels, axis=0),
                     beside=np.diff(np.array([0, *beside], np.int64)))
    _check(rows)
    if rows.beside.sum() != registers[BESIDE]:
        raise HwgenError(f"descriptors beside the array took {rows.beside.sum()} cycles of {registers[BESIDE]}",
                         where=_WHERE)
    return rows


def _unpack(text: str, counters: int) -> list[int]:
    vector = int(text, 16)
    return [vector >> _COUNTER_BITS * k & (1 << _COUNTER_BITS) - 1 for k in range(counters)]


def _check(rows: CycleRows) -> None:
    if (rows.cycles < 0).any() or (rows.counts < 0).any() or (rows.beside < 0).any():
        raise HwgenError("a counter went backwards", where=_WHERE)
    columns = [rows.counters.index(name) for name in EXCLUSIVE_COUNTERS]
    classed = rows.counts[:, columns].sum(axis=1)
    for row in np.flatnonzero(classed[1:-1] != rows.cycles[1:-1]) + 1:
        raise HwgenError(f"descriptor {row - 1} took {rows.cycles[row]} cycles, {classed[row]} of them are in a class",
                         where=_WHERE)
    for row in (0, -1):
        if classed[row] > rows.cycles[row]:
            raise HwgenError(f"{rows.cycles[row]} cycles, {classed[row]} of them in a class",
                             where=f"{_WHERE}, {'end' if row else 'start'}")
