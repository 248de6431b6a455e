"""Made-up measurements of a compiled network: what the counters could have said."""

from __future__ import annotations

import numpy as np

from hwgen.compiler.result import CompiledNetwork
from hwgen.cost.usage import in_array
from hwgen_sim.cycle_rows import BESIDE, CycleRows
from rtl_templates.engine.counters import COUNTERS, EXCLUSIVE_COUNTERS

#: cycles of start and end that are in no class
UNCOUNTED = 7


def made_rows(network: CompiledNetwork, seed: int = 0) -> CycleRows:
    """Every pixel issued where the program has it, random stalls, and a unit beside the array that did its part."""
    rng = np.random.default_rng(seed)
    slots = [network.descriptors[n].slots for n in in_array(network.descriptors)]
    counts = rng.integers(0, 50, (len(slots) + 2, len(COUNTERS)))
    counts[:, COUNTERS.index("busy")] = [0, *slots, 0]
    classes = [COUNTERS.index(name) for name in EXCLUSIVE_COUNTERS]
    cycles = counts[:, classes].sum(axis=1)
    cycles[[0, -1]] += UNCOUNTED
    beside = np.array([d.window_words for d in network.descriptors if d.window], np.int64)
    counts[:, COUNTERS.index(BESIDE)] = 0
    counts[len(counts) // 2, COUNTERS.index(BESIDE)] = beside.sum()
    return CycleRows(counters=COUNTERS, cycles=cycles, counts=counts, beside=beside)


def events_of(rows: CycleRows) -> tuple[str, dict[str, int]]:
    """What the monitor would have written of ``rows``, and the registers at the end of the frame."""
    times, levels = np.cumsum(rows.cycles), np.cumsum(rows.counts, axis=0)
    kinds = ["first", *["issued"] * rows.descriptors]
    lines = [(kind, times[n], levels[n]) for n, kind in enumerate(kinds)]
    unit = np.arange(len(rows.counters)) == rows.counters.index(BESIDE)
    lines += [("beside", times[0], unit * worked) for worked in np.cumsum(rows.beside)]
    lines.append(("finished", times[-1] - UNCOUNTED, levels[-1]))
    text = "".join(f"{kind} {time} {sum(int(v) << 32 * k for k, v in enumerate(level)):x}\n"
                   for kind, time, level in lines)
    registers = {name: int(levels[-1][k]) for k, name in enumerate(rows.counters)}
    return text, {**registers, "cycles": int(times[-1])}
