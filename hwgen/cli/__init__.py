"""The command line: ``hwgen COMMAND``. One file per command; exit codes in docs/cli.md."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of the ``hwgen`` script."""
    from hwgen.interrupt import INTERRUPTED, install, seen

    install()
    try:
        from hwgen.cli.app import app

        app()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except SystemExit as end:
        # libraries below may have made something else of the signal, such as click's Abort
        sys.exit(INTERRUPTED if seen() and end.code else end.code)
