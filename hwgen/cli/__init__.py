"""The command line: ``hwgen COMMAND``. One file per command; exit codes in docs/cli.md."""

from __future__ import annotations

import signal
import sys


def _terminate(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Entry point of the ``hwgen`` script."""
    signal.signal(signal.SIGTERM, _terminate)  # stops like Ctrl-C: nothing half-written
    try:
        from hwgen.cli.app import app

        app()
    except KeyboardInterrupt:
        sys.exit(130)
