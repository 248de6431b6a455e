"""Made-up measurements of a compiled network: what the counters could have said."""

from __future__ import annotations

import numpy as np

from hwgen.compiler.result import CompiledNetwork
from hwgen.cost.usage import in_array
from hwgen_sim.cycle_rows import CycleRows, exclusive
from rtl_templates.engine.tensor_engine import COUNTERS

#: cycles of start and end that are in no class
UNCOUNTED = 7


def made_rows(network: CompiledNetwork, seed: int = 0) -> CycleRows:
    """Every pixel issued where the program has it, and random stalls."""
    rng = np.random.default_rng(seed)
    slots = [network.descriptors[n].slots for n in in_array(network.descriptors)]
    counts = rng.integers(0, 50, (len(slots) + 2, len(COUNTERS)))
    counts[:, COUNTERS.index("busy")] = [0, *slots, 0]
    classes = [COUNTERS.index(name) for name in exclusive(COUNTERS)]
    cycles = counts[:, classes].sum(axis=1)
    cycles[[0, -1]] += UNCOUNTED
    return CycleRows(counters=COUNTERS, cycles=cycles, counts=counts)


def events_of(rows: CycleRows) -> tuple[str, dict[str, int]]:
    """What the monitor would have written of ``rows``, and the registers at the end of the frame."""
    times, levels = np.cumsum(rows.cycles), np.cumsum(rows.counts, axis=0)
    kinds = ["first", *["issued"] * rows.descriptors]
    lines = [(kind, times[n], levels[n]) for n, kind in enumerate(kinds)]
    lines.append(("finished", times[-1] - UNCOUNTED, levels[-1]))
    text = "".join(f"{kind} {time} {sum(int(v) << 32 * k for k, v in enumerate(level)):040x}\n"
                   for kind, time, level in lines)
    registers = {name: int(levels[-1][k]) for k, name in enumerate(rows.counters)}
    return text, {**registers, "cycles": int(times[-1])}
