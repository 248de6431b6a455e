"""Progress of a training on the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from hwgen.train.loop import StepHook


@contextmanager
def training_bar(title: str, enabled: bool) -> Iterator[StepHook]:
    """A progress bar on standard error while the block runs; the yielded function takes the summary of every step."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[text]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=not enabled) as bar:
        task = bar.add_task(title, total=None, text="")

        def show(summary: dict[str, Any]) -> None:
            text = (
                f"epoch {summary['epoch']}/{summary['epochs']} at {summary['size']} px, loss {summary['loss']:.3f}, "
                f"train {100 * summary['train_accuracy']:.1f} %"
            )
            bar.update(task, total=summary["steps"], completed=summary["step"], text=text)

        yield show
