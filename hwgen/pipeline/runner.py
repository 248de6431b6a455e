"""Run the steps in order: reuse what is still valid, record times, leave nothing half-written."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwgen import interrupt
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
    changing: Callable[[], None] = lambda: None  #: called before a result is replaced or removed
    finished: Callable[[dict[str, StepRecord]], None] = lambda records: None  #: called before the directory is let go


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
    with store.lock(names):
        for number, step in enumerate(steps):
            interrupt.check()
            forced = forced or step.name == run.first
            if not step.wanted(request):
                if store.record(step.name) is not None:
                    _sweep(steps[number:], request, store, run, records)
                run.observer(StepEvent(step=step, state="skipped"))
            else:
                step.prepare(request)
                key = step_key(step, request, records)
                record = store.record(step.name)
                if forced or record is None or record.key != key:
                    record = _execute(steps[number:], request, store, run, key=key, records=records)
                else:
                    event = StepEvent(step=step, state="reused", seconds=record.seconds, summary=record.summary)
                    run.observer(event)
                records[step.name] = record
            if step.name == run.last:
                _sweep(steps[number + 1:], request, store, run, records)
                break
        run.finished(records)
    return records


def _execute(
    steps: Sequence[Step], request: BuildRequest, store: BuildStore, run: Run, *, key: str,
    records: dict[str, StepRecord],
) -> StepRecord:
    """Run the first of ``steps``; before its result is seen, those behind it that do not belong to it are removed."""
    step, *behind = steps
    needs = {n: records[n].digest for n in step.needs if n in records}
    run.observer(StepEvent(step=step, state="running"))
    start = time.monotonic()
    def progress(text: str) -> None:
        interrupt.check()
        run.progress(text)

    with store.writing(step.name) as scratch:
        summary = step.run(StepContext(request=request, out=scratch, cache=run.cache, progress=progress,
                                       results={n: store.folder(n) for n in needs}))
        interrupt.check()
        seconds = round(time.monotonic() - start, 3)
        record = store.seal(scratch, key=key, seconds=seconds, summary=summary, needs=needs)
        old = store.record(step.name)
        if old is None or old.digest != record.digest:
            store.unpublish()
        _sweep(behind, request, store, run, {**records, step.name: record})
        run.changing()
        store.commit(step.name, scratch)
    run.observer(StepEvent(step=step, state="done", seconds=seconds, summary=summary))
    return record


def _sweep(
    steps: Sequence[Step], request: BuildRequest, store: BuildStore, run: Run, records: dict[str, StepRecord]
) -> None:
    """Remove the results of ``steps`` that do not follow from ``records`` and the request: a directory holds one build.

    Args:
        records: of all steps before them.
    """
    valid = dict(records)
    for step in steps:
        found = store.record(step.name)
        if found is None:
            continue
        if step.wanted(request) and found.key == step_key(step, request, valid):
            valid[step.name] = found
            continue
        store.unpublish()
        run.changing()
        store.discard(step.name)
