"""What benchmarks print while they run."""

from __future__ import annotations

import time

from hwgen.pipeline.runner import StepEvent


class Steps:
    """A line for every finished step of a build."""

    def event(self, event: StepEvent) -> None:
        if event.state != "running":
            print("   ", event.step.name, event.state, f"{event.seconds:.1f} s", flush=True)

    def detail(self, text: str) -> None:
        del text


class Printer:
    """Progress for a log file: what begins, every minute how far it is, every result."""

    def __init__(self) -> None:
        self._title, self._next = "", 0.0

    def begin(self, title: str) -> None:
        self._title, self._next = title, time.monotonic() + 60

    def step(self, done: int, total: int) -> None:
        if time.monotonic() > self._next:
            self._next += 60
            print(f"    {self._title}: {done:,} of {total:,}", flush=True)

    def note(self, text: str) -> None:
        print(f"  {text}", flush=True)
