"""report.html: one file, nothing fetched from anywhere."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from hwgen.report.breakdown import loss_title
from hwgen.report.explain import explain, lost_cycles, worst
from hwgen.report.plots import PLOTS
from hwgen.report.selection import selection_text


def render(report: dict[str, Any]) -> str:
    """HTML text of a report."""
    # always: names of models and layers come from files of others (select_autoescape goes by the name, .html, not .j2)
    environment = Environment(loader=PackageLoader("hwgen.report", "templates"), autoescape=True,
                              undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"thousands": _thousands, "percent": _percent, "loss": loss_title, "stalls": _stalls,
                            "selected": selection_text}
    plots = {name: draw(report) for name, draw in PLOTS.items()}
    explained = {state: [(layer["name"], lost_cycles(layer, state), explain(layer, state, report))
                         for layer in worst(report["layers"], state)] for state in report["breakdown"] or ()}
    return environment.get_template("report.html.j2").render(r=report, plots=plots, explained=explained)


def _stalls(counters: list[str]) -> list[str]:
    return [name for name in counters if name.startswith("stall_")]


def _thousands(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _percent(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{100 * value:.{digits}f} %"
