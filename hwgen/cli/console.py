"""Where text goes: results to stdout, everything else to stderr; JSON untouched by any styling."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

#: columns where the output is no terminal
_WIDTH = 120


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, highlight=False, width=None if stream.isatty() else _WIDTH)


out, err = _console(stderr=False), _console(stderr=True)


def print_json(value: Any) -> None:
    """Machine-readable result on stdout."""
    sys.stdout.write(json.dumps(value, indent=1, default=str) + "\n")


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[str] = ()) -> Table:
    """A plain table; columns named in ``right`` are right-aligned."""
    made = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold",
                 title_style="bold")
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", no_wrap=column in right,
                        overflow="fold")
    for row in rows:
        made.add_row(*(str(cell) for cell in row))
    return made
