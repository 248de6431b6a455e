"""Constants of the cycle model: cycles that the hardware takes between two events, read off its state machines.

Those that no state machine tells (``verify``, ``key_setup``) were fitted by hand to RTL simulations of one network. The
errors on networks and configurations that nothing was fitted to are measured by ``benchmarks/cost_error.py``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class CycleConstants:
    """Cycles.

    Args:
        start: start write to the load unit's first descriptor, which loads the program, or (warm) ``fetch`` starts.
        key_setup: start write to the first beat that the segment unit takes, where keys are derived (cold).
        header: program's first segment verified to the fetchers' start.
        fetch: a program fetcher starts, or its descriptor was taken, to the next descriptor offered, without the words.
        load_issue, store_issue: descriptor taken to its first wait.
        wait: a count changes to the first thing a unit does that waited for it.
        segment_issue: of the load unit, per segment; plane_issue: more for the first of a plane; ring_issue: more for
            weights.
        request: segment given to a channel, to its address at the memory; two cycles later than the latency says comes
            the first beat.
        landed: last beat leaves the memory, to the words counted as landed.
        verify: the same for a segment of the image: decrypted, its tag checked.
        store_lead: store unit begins a plane, to the first beat at the memory; store_plane: last beat at the memory, to
            the beginning of the next plane.
        row_seal: of a row of a protected feature map that is stored, besides its beats and its tag.
        answer: last beat of a store taken, to the store counted as complete, beyond the memory's write latency.
        dispatch: compute descriptor taken by the weight fetch, to the array's first issue, at least.
        descriptor: last issue of a descriptor to the first of the next one without a hazard.
        drain: beyond the pipeline latency, the same with a hazard.
        residual: beyond the way to its residual's read, the same behind a descriptor with a residual.
        finish: last store complete and pipeline empty, to the interrupt.
        window_queue: descriptor taken by the weight fetch, to the window unit's being able to take it.
        window_lines: lines of a block read from weight memory, to its first word read.
        window: of a window operation in the analytic model, besides its words.
    """

    start: float = 7.0
    key_setup: float = 143.0
    header: float = 8.0
    fetch: float = 6.0
    load_issue: float = 3.0
    store_issue: float = 3.0
    wait: float = 2.0
    segment_issue: float = 4.0
    plane_issue: float = 1.0
    ring_issue: float = 3.0
    request: float = 5.0
    landed: float = 9.0
    verify: float = 10.0
    store_lead: float = 6.0
    store_plane: float = 3.0
    row_seal: float = 4.0
    answer: float = 3.0
    dispatch: float = 5.0
    descriptor: float = 6.0
    drain: float = 1.0
    residual: float = 2.0
    finish: float = 3.0
    window_queue: float = 2.0
    window_lines: float = 12.0
    window: float = 40.0


CYCLES = CycleConstants()
