"""Show the steps of a build while they run."""

from __future__ import annotations

import time

from rich.markup import escape
from rich.status import Status

from hwgen.cli.console import err
from hwgen.pipeline.runner import StepEvent

_MARKS = {"done": "[green]done[/]  ", "reused": "[dim]reused[/]", "skipped": "[dim]skipped[/]"}


class StepPrinter:
    """Prints one line per finished step; while a step runs, a spinner shows what it is doing.

    Args:
        quiet: print nothing (``--json``).
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._status: Status | None = None
        self._name, self._start = "", 0.0

    def event(self, event: StepEvent) -> None:
        """A step has begun or ended."""
        if self._quiet:
            return
        self.stop()
        if event.state == "running":
            self._name, self._start = event.step.title, time.monotonic()
            self._status = Status(escape(event.step.title), console=err)
            self._status.start()
            return
        seconds = f"{event.seconds:7.1f} s" if event.state == "done" else " " * 9
        text = escape(str((event.summary or {}).get("text", "")))
        err.print(f"{_MARKS[event.state]} {seconds}  [bold]{event.step.name:<9}[/] {text}", soft_wrap=True)

    def detail(self, text: str) -> None:
        """What the running step is doing right now."""
        if self._status is not None:
            self._status.update(f"{escape(self._name)}: {escape(text)} ({time.monotonic() - self._start:.0f} s)")

    def stop(self) -> None:
        """Remove the spinner."""
        if self._status is not None:
            self._status.stop()
            self._status = None
