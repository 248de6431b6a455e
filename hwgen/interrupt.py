"""Ctrl-C and SIGTERM: stop like an error, nothing half-written, and not lost where Python swallows exceptions."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from types import FrameType

#: exit status of an interrupted command
INTERRUPTED = 130
#: seconds within which further signals are taken for the same one (a terminal and ``timeout`` may both send it)
_SAME = 1.0

#: process groups that have to end with this process, by number
GROUPS: set[int] = set()

#: when the first signal came
_SEEN: list[float] = []


def install() -> None:
    """Take over SIGINT and SIGTERM; for the process of the command line only."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _handle)


def seen() -> bool:
    """Whether a signal has arrived: whatever is raised after that, the command was interrupted."""
    return bool(_SEEN)


def check() -> None:
    """Raise again what a destructor or a callback of the garbage collector may have swallowed.

    Raises:
        KeyboardInterrupt: a signal has arrived.
    """
    if _SEEN:
        raise KeyboardInterrupt


def _handle(number: int, frame: FrameType | None) -> None:
    now = time.monotonic()
    if not _SEEN:
        _SEEN.append(now)
        raise KeyboardInterrupt
    if now - _SEEN[0] > _SAME:
        for group in list(GROUPS):
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
        os._exit(INTERRUPTED)  # the user does not want to wait; what is left over the next build removes
