"""The typer application: commands in the order in which they are used."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from hwgen.cli import (
    attack,
    boards,
    build,
    compress,
    evaluate,
    inspect,
    models,
    pareto,
    prune,
    report,
    seal,
    search,
    train,
    verify,
)
from hwgen.cli.console import out

app = typer.Typer(
    name="hwgen",
    help="From a CNN to a proven, encrypted tensor-train accelerator for an FPGA board.",
    epilog="Example:  hwgen build --model resnet18_tt --board zcu104",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        try:
            out.print(version("hwgen"))
        except PackageNotFoundError:
            out.print("unknown (not installed)")
        raise typer.Exit


@app.callback()
def _options(
    show: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of all commands."""


for _command in (build, train, compress, evaluate, prune, pareto, search, seal, attack, verify, inspect, report, models,
                 boards):
    app.command(_command.NAME, epilog=_command.EXAMPLES)(_command.command)
