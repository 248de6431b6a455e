"""The few free constants of the cycle model, each fitted once, by hand, to RTL simulations of one network and engine.

Everything else in the model follows from the program and from published latencies of the hardware. The errors on
networks and configurations that nothing was fitted to are measured by ``benchmarks/cost_error.py``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class CycleConstants:
    """Cycles.

    Args:
        key_setup: start write to the first program burst when keys are derived (cold, crypto unit present).
        start: start write to the first burst or, warm, to the input's first burst.
        load_first: address of a segment's first burst to its first beat at the channel, beyond the memory's latency.
        verify: last beat of a segment to its release.
        compute_start: program verified to the first compute descriptor issued.
        descriptor: last issue of a descriptor to the first of the next one without a hazard.
        drain: beyond the pipeline latency, the same with a hazard.
        store: last result in activation memory to the interrupt, beyond the output's transfer and the memory's latency.
        line_overhead: lost cycles per full segment and channel (address, tag, turn-around), in 16-byte beats.
        segment_issue, load_issue: of the load unit, per segment and per load descriptor.
        results_first: activation loads wait in cycles in which results are written.
    """

    key_setup: float = 60.0
    start: float = 12.0
    load_first: float = 10.0
    verify: float = 40.0
    compute_start: float = 20.0
    descriptor: float = 6.0
    drain: float = 4.0
    store: float = 30.0
    line_overhead: float = 1.0
    segment_issue: float = 6.0
    load_issue: float = 8.0
    results_first: bool = True


CYCLES = CycleConstants()
