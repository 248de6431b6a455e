"""The three plots of a selection, as SVG files."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from hwgen.pipeline.store import write_text
from hwgen.ttseal.report import SETS, at
from hwgen.ttseal.units import Unit, share_of

_COLOURS = {"none": "#718096", "random": "#b7791f", "firstlast": "#2f855a", "norm": "#6b46c1", "chosen": "#c53030",
            "all": "#2d3748"}
_NAMES = {"none": "none (white box)", "random": "random", "firstlast": "first and last layers",
          "norm": "largest norm", "chosen": "chosen", "all": "all (black box)"}


def _svg(figure: Figure) -> str:
    stream = io.StringIO()
    with rc_context({"svg.hashsalt": "hwgen", "svg.fonttype": "none"}):
        figure.savefig(stream, format="svg", bbox_inches="tight", metadata={"Date": None, "Creator": None})
    return stream.getvalue()


def importance(result: dict[str, Any]) -> str:
    """I_acc of every core and kernel in the order in which they run; what was chosen is marked."""
    chosen, found = set(result["verified"]["nodes"]), result["importance"]
    figure = Figure(figsize=(10, 3.4))
    axes = figure.subplots()
    for wanted, colour, label in ((True, _COLOURS["chosen"], "encrypted"), (False, "#a0aec0", "plain")):
        places = [n for n, i in enumerate(found) if (i["node"] in chosen) is wanted]
        axes.bar(places, [found[n]["value"] for n in places], color=colour, label=label)
    axes.set_xticks(range(len(found)), [i["node"] for i in found], rotation=90, fontsize=5)
    axes.set_yscale("log")
    axes.set_ylabel("importance I_acc")
    axes.legend(fontsize=7)
    return _svg(figure)


def accuracy(result: dict[str, Any]) -> str:
    """Substitute accuracy (validation images) against the encrypted share, all sets that were measured."""
    units = [Unit(**{**u, "shape": tuple(u["shape"])}) for u in result["units"]]
    figure = Figure(figsize=(7, 4))
    axes = figure.subplots()
    for kind, marker, label in (("ranked", ".", "most important first (search)"), ("chosen", "x", "knapsack, repair")):
        points = sorted((100 * t["share"], 100 * t["accuracy_validation"]) for t in result["tried"]
                        if t["kind"] == kind)
        axes.plot([p[0] for p in points], [p[1] for p in points], marker=marker, linestyle=":", color="#a0aec0",
                  label=label)
    for name in SETS:
        share = 100 * float(np.mean([share_of(units, m["encrypted"]) for m in result["sets"][name]]))
        values = [100 * m["accuracy_validation"] for m in result["sets"][name]]
        mean = float(np.mean(values))
        spread = [[mean - min(values)], [max(values) - mean]]
        axes.errorbar([share], [mean], yerr=spread, fmt="o", color=_COLOURS[name], label=_NAMES[name], capsize=3)
    axes.axhline(100 * result["limit"], color=_COLOURS["chosen"], linewidth=0.8, linestyle="--",
                 label="limit: A_BB + delta")
    axes.set_xlabel("encrypted share of the stored bytes, %")
    axes.set_ylabel("substitute accuracy, % (validation)")
    axes.legend(fontsize=6)
    return _svg(figure)


def transfer(result: dict[str, Any]) -> str | None:
    """Success on the victim over epsilon, one panel an attack; None if it was not measured."""
    if result["settings"]["transfer"] is None:
        return None
    epsilons = result["settings"]["transfer"]["epsilons"]
    attacks = list(result["transfer"]["none"]["success"])
    figure = Figure(figsize=(3 * len(attacks), 3))
    for panel, attack in zip(figure.subplots(1, len(attacks), sharey=True), attacks, strict=True):
        for name in SETS:
            values = [100 * at(result["transfer"][name]["success"][attack], e) for e in epsilons]
            panel.plot(epsilons, values, marker="o", markersize=3, color=_COLOURS[name], label=_NAMES[name])
        panel.set_title(attack, fontsize=9)
        panel.set_xlabel("epsilon, 1/255")
        panel.set_ylim(0, 102)
    figure.axes[0].set_ylabel("victim fooled, %")
    figure.axes[-1].legend(fontsize=6)
    return _svg(figure)


def write_plots(result: dict[str, Any], folder: Path) -> list[Path]:
    """Write ``importance.svg``, ``accuracy.svg`` and, where it was measured, ``transfer.svg``."""
    written = []
    for name, text in (("importance", importance(result)), ("accuracy", accuracy(result)),
                       ("transfer", transfer(result))):
        if text is not None:
            path = folder / f"{name}.svg"
            write_text(path, text)
            written.append(path)
    return written
