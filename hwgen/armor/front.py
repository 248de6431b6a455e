"""The points of pruning runs together: their Pareto front, as JSON and as a plot."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from hwgen.armor.run import EVENTS, points_of
from hwgen.errors import HwgenError
from hwgen.search.pareto import pareto
from hwgen.ttseal.folder import SETTINGS

MEASURED = "measured.json"
_COLOURS = {"guided": "#c53030", "taylor": "#2b6cb0", "fisher": "#6b46c1", "gradient": "#2f855a", "l1": "#b7791f",
            "random": "#718096"}


def run_folders(places: Sequence[Path]) -> list[Path]:
    """The folders of runs among ``places`` and directly below them.

    Raises:
        HwgenError: a place without any.
    """
    found: list[Path] = []
    for place in places:
        here = [place] if (place / EVENTS).is_file() else sorted(p.parent for p in place.glob(f"*/{EVENTS}"))
        if not here:
            raise HwgenError("holds no pruning run", where=str(place), hint="hwgen prune makes one")
        found += here
    return list(dict.fromkeys(found))


def read_json(path: Path) -> Any:
    """A file of a run, None if it is not there; HwgenError if it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    except ValueError as error:
        raise HwgenError(f"is damaged: {error}", where=str(path)) from error


def load_points(folders: Sequence[Path]) -> list[dict[str, Any]]:
    """All points with the run that they are of, their number in it, and what was measured on test images, where that
    was done (``test``). A run is called by its folder, with the one above where several folders have the same name."""
    points = []
    names = [folder.name for folder in folders]
    for folder in folders:
        settings = read_json(folder / SETTINGS)
        measured = read_json(folder / MEASURED) or {}
        for number, point in enumerate(points_of(folder)):
            points.append({
                "run": folder.name if names.count(folder.name) == 1 else f"{folder.parent.name}/{folder.name}",
                "folder": str(folder), "point": number, "model": settings["model"],
                "board": settings["board"], "dataset": settings["dataset"], "method": settings["settings"]["method"],
                "seed": settings["settings"]["seed"], "epsilon": settings["settings"]["robust"]["epsilon"],
                **{k: v for k, v in point.items() if k != "event"}, "test": measured.get(str(number))})
    return points


def comparable(points: Sequence[dict[str, Any]]) -> None:
    """HwgenError unless all points are of one network and were judged by the same images and attack."""
    for name, what in (("model", "models"), ("dataset", "data sets"), ("epsilon", "epsilons"),
                       ("images", "numbers of validation images")):
        found = sorted({str(p[name]) for p in points})
        if len(found) > 1:
            raise HwgenError(f"runs of different {what} make no front: {', '.join(found)}", where="pareto",
                             hint="give the folders of one network's runs")


def objectives(point: dict[str, Any]) -> list[float]:
    """What the front minimises: robust and clean error, latency, multipliers, logic, memory blocks, energy."""
    resources = point["resources"]
    return [-point["robust_accuracy"], -point["clean_accuracy"], point["latency_us"], resources["dsp"],
            resources["lut"], resources["bram36"] + 8 * resources["uram"], point["energy_uj_estimated"]]


def front(points: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The points that no other one beats in everything, fastest first."""
    chosen = pareto(np.array([objectives(p) for p in points])) if points else []
    return sorted((points[int(i)] for i in chosen), key=lambda p: (p["latency_us"], -p["robust_accuracy"]))


def reductions(points: Sequence[dict[str, Any]], point: dict[str, Any]) -> dict[str, float]:
    """How many times fewer parameters, MACs and cycles a point has than the network that its run began with."""
    first = next(p for p in points if p["folder"] == point["folder"] and p["point"] == 0)
    return {name: first[name] / point[name] for name in ("parameters", "macs", "cycles")}


def plot(points: Sequence[dict[str, Any]], best: Sequence[dict[str, Any]]) -> str:
    """SVG: robust accuracy (validation images) over latency, parameters and energy; the front's points are filled."""
    figure = Figure(figsize=(10, 3.4))
    axes = figure.subplots(1, 3, sharey=True)
    kept = {(p["folder"], p["point"]) for p in best}
    for panel, (name, label) in zip(axes, (("latency_us", "latency, µs (predicted)"), ("parameters", "parameters"),
                                           ("energy_uj_estimated", "energy, µJ (estimated)")), strict=True):
        for folder in dict.fromkeys(p["folder"] for p in points):
            mine = [p for p in points if p["folder"] == folder]
            colour = _COLOURS.get(mine[0]["method"], "#2d3748")
            panel.plot([p[name] for p in mine], [100 * p["robust_accuracy"] for p in mine], color=colour, alpha=0.5,
                       linewidth=0.8, label=mine[0]["run"])
            for point in mine:
                filled = (folder, point["point"]) in kept
                panel.plot([point[name]], [100 * point["robust_accuracy"]], "o", color=colour, markersize=4,
                           markerfacecolor=colour if filled else "white")
        panel.set_xlabel(label)
    axes[0].set_ylabel("robust accuracy, %")
    axes[-1].legend(fontsize=6)
    stream = io.StringIO()
    with rc_context({"svg.hashsalt": "hwgen", "svg.fonttype": "none"}):
        figure.savefig(stream, format="svg", bbox_inches="tight", metadata={"Date": None, "Creator": None})
    return stream.getvalue()
