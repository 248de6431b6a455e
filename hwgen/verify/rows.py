"""The measured rows of a frame against the program that ran: which descriptor each row belongs to."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwgen.compiler.result import CompiledNetwork
from hwgen.cost.usage import in_array
from hwgen.errors import HwgenError
from hwgen_sim.cycle_rows import CycleRows

_WHERE = "cycles per descriptor"


def rows_of(rows: CycleRows, network: CompiledNetwork) -> dict[str, Any]:
    """JSON-ready: ``descriptors`` (positions in the program of those that the array runs), ``counters`` (names),
    ``cycles`` [descriptors + 2] and ``counts`` [descriptors + 2][counters] as in ``CycleRows``; ``beside``: position of
    a descriptor of the unit beside the array (as text) -> cycles in which it worked on it.

    Raises:
        HwgenError: the array ran another number of descriptors than the program has for it, or issued another number of
            pixels in one of them than the compiler has planned: cycles would be attributed to the wrong layer.
    """
    positions = in_array(network.descriptors)
    if len(positions) != rows.descriptors:
        raise HwgenError(f"the array ran {rows.descriptors} descriptors, the program has {len(positions)} for it",
                         where=_WHERE)
    others = [n for n, d in enumerate(network.descriptors) if d.window]
    if len(others) != len(rows.beside):
        raise HwgenError(f"the unit beside the array ran {len(rows.beside)} descriptors, the program has {len(others)} "
                         "for it", where=_WHERE)
    planned = np.array([network.descriptors[n].slots for n in positions])
    issued = rows.counts[1:-1, rows.counters.index("busy")]
    for row in np.flatnonzero(planned != issued):
        which = f"descriptor {positions[row]} ({network.descriptors[positions[row]].node})"
        raise HwgenError(f"{which} issued {issued[row]} pixels, planned are {planned[row]}", where=_WHERE)
    return {"descriptors": list(positions), "counters": list(rows.counters), "cycles": rows.cycles.tolist(),
            "counts": rows.counts.tolist(), "beside": dict(zip(map(str, others), rows.beside.tolist(), strict=True))}
