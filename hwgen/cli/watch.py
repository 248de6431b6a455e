"""A progress bar on standard error for commands that train or attack."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from hwgen.cli.console import err


class BarWatcher:
    """Shows what is running and how far it is; results stay on the screen as lines.

    Args:
        bar: of rich, running.
        quiet: show nothing.
    """

    def __init__(self, bar: Progress, *, quiet: bool) -> None:
        self._bar, self._quiet = bar, quiet
        self._task = bar.add_task("", total=None, visible=False)

    def begin(self, title: str) -> None:
        """Something that takes long begins."""
        self._bar.reset(self._task, description=escape(title), total=None, visible=True)

    def step(self, done: int, total: int) -> None:
        """How far it is."""
        self._bar.update(self._task, completed=done, total=total)

    def note(self, text: str) -> None:
        """A result, one line."""
        if not self._quiet:
            self._bar.console.print(escape(text), soft_wrap=True)


@contextmanager
def watching(quiet: bool) -> Iterator[BarWatcher]:
    """A running bar; with ``quiet`` (``--json``) it shows nothing."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, disable=quiet, transient=True) as bar:
        yield BarWatcher(bar, quiet=quiet)
