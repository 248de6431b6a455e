"""``hwgen report``: the figures of a finished build."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from hwgen.cli.console import out, print_json
from hwgen.cli.guard import guarded
from hwgen.cli.summary import print_summary

NAME = "report"
EXAMPLES = "Examples:  hwgen report build/resnet18_tt-zcu104   |   hwgen report build/resnet18_tt-zcu104 --open"


@guarded
def command(
    folder: Annotated[Path, typer.Argument(help="Build directory.")],
    json: Annotated[bool, typer.Option("--json", help="Print report.json.")] = False,
    show: Annotated[bool, typer.Option("--open", help="Open report.html in a browser.")] = False,
) -> None:
    """Show the report of a finished build."""
    from hwgen.pipeline.chain import check_published
    from hwgen.report.figures import read_json

    check_published(folder)
    report = read_json(folder / "report.json")
    if json:
        print_json(report)
    else:
        print_summary(report, folder)
    if show:
        webbrowser.open((folder / "report.html").resolve().as_uri())
        out.print(f"opened {folder / 'report.html'}")
