"""Turn errors into messages and exit codes: no traceback for the user's mistakes, one for ours."""

from __future__ import annotations

import errno
import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import typer
from rich.markup import escape

from hwgen import interrupt
from hwgen.cli.console import err
from hwgen.errors import HwgenError

#: Exit codes (docs/cli.md). 1 is left to Python: an error of hwgen itself, with a traceback.
OK, INTERNAL, BAD_INPUT, NOT_PROVEN, TOOL_MISSING, REFUSED, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130

#: what is wrong with the place that the user named, or with its disk, not with hwgen
_PLACES = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENAMETOOLONG, errno.ENOTDIR,
           errno.EISDIR, errno.EEXIST)

P = ParamSpec("P")
R = TypeVar("R")


def guarded(function: Callable[P, R]) -> Callable[P, R]:
    """Decorator of every command."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except HwgenError as error:
            err.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
            raise typer.Exit(error.exit_code) from None
        except OSError as error:
            if error.errno not in _PLACES:
                raise
            err.print(f"[bold red]error:[/] {escape(str(error.filename or 'output'))}: {error.strerror}",
                      soft_wrap=True)
            raise typer.Exit(BAD_INPUT) from None
        except KeyboardInterrupt:
            err.print("[bold red]interrupted[/]")
            raise typer.Exit(INTERRUPTED) from None
        except Exception:
            if not interrupt.seen():
                raise
            err.print("[bold red]interrupted[/]")
            raise typer.Exit(INTERRUPTED) from None

    return run
