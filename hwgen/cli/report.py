"""``hwgen report``: the figures of a finished build."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from hwgen.cli.console import out, print_json
from hwgen.cli.guard import guarded
from hwgen.cli.summary import print_summary
from hwgen.errors import HwgenError

NAME = "report"
EXAMPLES = "Examples:  hwgen report build/resnet18_tt-zcu104   |   hwgen report build/resnet18_tt-zcu104 --open"


@guarded
def command(
    folder: Annotated[Path, typer.Argument(help="Build directory.")],
    json: Annotated[bool, typer.Option("--json", help="Print report.json.")] = False,
    show: Annotated[bool, typer.Option("--open", help="Open report.html in a browser.")] = False,
) -> None:
    """Show the report of a finished build."""
    from hwgen.report.figures import read_json

    path = folder / "report.json"
    if not path.is_file():
        raise HwgenError("holds no finished build (report.json is missing)", where=str(folder),
                         hint="run 'hwgen build' first")
    report = read_json(path)
    if json:
        print_json(report)
    else:
        print_summary(report, folder)
    if show:
        webbrowser.open((folder / "report.html").resolve().as_uri())
        out.print(f"opened {folder / 'report.html'}")
