"""Run the steps in order: reuse what is still valid, record times, leave nothing half-written."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwgen.config.names import unknown_name
from hwgen.errors import HwgenError
from hwgen.pipeline.fingerprint import hash_code, hash_json
from hwgen.pipeline.request import BuildRequest
from hwgen.pipeline.step import Progress, Step, StepContext
from hwgen.pipeline.store import BuildStore, StepRecord


@dataclass(frozen=True, kw_only=True)
class StepEvent:
    """Told to the observer. ``state`` is one of "running", "done", "reused", "skipped"."""

    step: Step
    state: str
    seconds: float = 0.0
    summary: dict[str, Any] | None = None


Observer = Callable[[StepEvent], None]


def step_key(step: Step, request: BuildRequest, records: dict[str, StepRecord]) -> str:
    """Hash of everything that determines the step's result."""
    return hash_json({
        "step": step.name,
        "code": {m: hash_code(m) for m in step.code},
        "inputs": step.inputs(request),
        "needs": {n: records[n].digest for n in step.needs if n in records},
    })


@dataclass(frozen=True, kw_only=True)
class Run:
    """How to run: where shared results are kept, what is forced, who is told."""

    cache: Path  #: folder for what several builds share
    first: str | None = None  #: run this step and all behind it again
    last: str | None = None  #: stop behind this step
    observer: Observer = lambda event: None
    progress: Progress = lambda text: None


def run_pipeline(steps: Sequence[Step], request: BuildRequest, run: Run) -> dict[str, StepRecord]:
    """Run ``steps`` for ``request``; a step is reused when its record's key is still what it would be now.

    Returns:
        The records of all completed steps, in order.

    Raises:
        HwgenError: unknown step name, bad input, or whatever a step refuses. Completed steps stay usable.
    """
    names = [s.name for s in steps]
    for name in (run.first, run.last):
        if name is not None and name not in names:
            raise unknown_name("step", name, names)
    if run.first is not None and run.last is not None and names.index(run.first) > names.index(run.last):
        raise HwgenError(f"step {run.first!r} comes after step {run.last!r}", where="--from", allowed=", ".join(names))
    store = BuildStore(request.out)
    records: dict[str, StepRecord] = {}
    forced = False
    with store.lock():
        for step in steps:
            forced = forced or step.name == run.first
            if not step.wanted(request):
                store.discard(step.name)
                run.observer(StepEvent(step=step, state="skipped"))
            else:
                key = step_key(step, request, records)
                record = store.record(step.name)
                if forced or record is None or record.key != key:
                    record = _execute(step, request, store, run, key=key, needs=[n for n in step.needs if n in records])
                else:
                    event = StepEvent(step=step, state="reused", seconds=record.seconds, summary=record.summary)
                    run.observer(event)
                records[step.name] = record
            if step.name == run.last:
                break
    return records


def _execute(
    step: Step, request: BuildRequest, store: BuildStore, run: Run, *, key: str, needs: list[str]
) -> StepRecord:
    run.observer(StepEvent(step=step, state="running"))
    start = time.monotonic()
    with store.writing(step.name) as scratch:
        summary = step.run(StepContext(request=request, out=scratch, cache=run.cache, progress=run.progress,
                                       results={n: store.folder(n) for n in needs}))
        seconds = round(time.monotonic() - start, 3)
        record = store.commit(step.name, scratch, key=key, seconds=seconds, summary=summary)
    run.observer(StepEvent(step=step, state="done", seconds=seconds, summary=summary))
    return record
