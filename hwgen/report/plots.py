"""The report's plots as SVG text."""

from __future__ import annotations

import io
import re
from typing import Any

from matplotlib import colormaps, rc_context
from matplotlib.figure import Figure

from hwgen.report.breakdown import loss_title

_BLUE, _GREY, _RED, _GREEN = "#2b6cb0", "#a0aec0", "#c53030", "#2f855a"


def _svg(figure: Figure) -> str:
    stream = io.StringIO()
    with rc_context({"svg.hashsalt": "hwgen", "svg.fonttype": "none"}):
        figure.savefig(stream, format="svg", bbox_inches="tight", metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    return re.sub(r"^.*?(?=<svg)", "", text, flags=re.S)


def layers(report: dict[str, Any]) -> str:
    """Cycles per layer, predicted and ideal."""
    rows = report["layers"]
    figure = Figure(figsize=(10, 3.2))
    axes = figure.subplots()
    places = range(len(rows))
    axes.bar(places, [r["cycles"] for r in rows], color=_BLUE, label="predicted (cold frame)")
    axes.bar(places, [r["ideal"] for r in rows], color=_GREEN, width=0.4, label="ideal: MACs / MACs per cycle")
    axes.bar(places, [r["wait_weights"] for r in rows], color=_RED, label="of it waiting for weights")
    # names are text: no formula begins at a "$" in one (matplotlib escapes them for SVG itself)
    axes.set_xticks(list(places), [r["name"] for r in rows], rotation=90, fontsize=5, parse_math=False)
    axes.set_ylabel("cycles")
    axes.legend(fontsize=7)
    return _svg(figure)


def breakdown(report: dict[str, Any]) -> str:
    """Measured cycles per layer, one stack for the cold and one for the following frame; "" before a proof."""
    if report["breakdown"] is None:
        return ""
    states, rows = tuple(report["breakdown"]), report["layers"]
    losses = tuple(rows[0]["measured"][states[0]]["lost"])
    colours = colormaps["tab20"].colors  # type: ignore[attr-defined]
    figure = Figure(figsize=(10, 3.0 * len(states) + 0.6))
    places = list(range(len(rows)))
    every = figure.subplots(len(states), sharex=True, squeeze=False)[:, 0]
    for axes, state in zip(every, states, strict=True):
        parts = {"ideal": [min(r["ideal"], r["measured"][state]["cycles"]) for r in rows],
                 **{name: [max(0.0, r["measured"][state]["lost"][name]) for r in rows] for name in losses}}
        below = [0.0] * len(rows)
        for number, (name, heights) in enumerate(parts.items()):
            axes.bar(places, heights, bottom=below, color=_GREEN if name == "ideal" else colours[number % 20],
                     label=name if name == "ideal" else loss_title(name) if any(heights) else None)
            below = [b + h for b, h in zip(below, heights, strict=True)]
        axes.set_ylabel(f"cycles, {state} (simulated)")
    every[0].legend(fontsize=6, ncols=6, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    every[-1].set_xticks(places, [r["name"] for r in rows], rotation=90, fontsize=5, parse_math=False)
    return _svg(figure)


def roofline(report: dict[str, Any]) -> str:
    """Layers in the plane of MACs per byte and MACs per cycle, under the two roofs."""
    config, per_cycle = report["config"], report["memory"]["bytes_per_cycle"]
    peak = config["p_i"] * config["p_o"]
    if "pipeline" in config:
        peak = report["network"]["macs"] / report["cycles"]["ideal"]
    points = [(r["macs"] / r["bytes"], r["macs"] / r["cycles"]) for r in report["layers"]
              if r["macs"] and r["bytes"] and r["cycles"]]
    figure = Figure(figsize=(5, 3.2))
    axes = figure.subplots()
    if points:
        low, high = min(p[0] for p in points) / 2, max(max(p[0] for p in points) * 2, 2 * peak / per_cycle)
        ridge = peak / per_cycle
        axes.plot([low, ridge, high], [low * per_cycle, peak, peak], color=_GREY)
        axes.scatter([p[0] for p in points], [p[1] for p in points], s=10, color=_BLUE, label="layers (predicted)")
        total = report["network"]["macs"]
        moved = sum(report["memory"][k] for k in ("image_bytes", "input_bytes", "output_bytes"))
        cycles = report["cycles"]["measured"] or report["cycles"]["predicted"]
        axes.scatter([total / moved], [total / cycles], marker="*", s=80, color=_RED,
                     label=f"network, cold ({report['source']})")
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.legend(fontsize=7)
    axes.set_xlabel("MACs per byte from memory")
    axes.set_ylabel("MACs per cycle")
    return _svg(figure)


def timeline(report: dict[str, Any]) -> str:
    """The cold frame: what computes when, and how far the weights are."""
    line = report["timeline"]
    stages = len(line["spans"]) if "pipeline" in report["config"] else 0  # all at once: a row for each
    figure = Figure(figsize=(10, 2.4 + 0.12 * stages))
    axes = figure.subplots()
    for number, span in enumerate(line["spans"]):
        axes.barh(stages and -number, span["end"] - span["start"], left=span["start"], height=0.8,
                  color=_BLUE if number % 2 else "#63b3ed")
    for span in line["spans"]:
        if span["wait_weights"] > 0:
            axes.barh(0, min(span["wait_weights"], span["end"] - span["start"]), left=span["start"], height=0.3,
                      color=_RED)
    if stages:
        axes.set_yticks([-n for n in range(stages)], [span["node"] for span in line["spans"]], fontsize=5,
                        parse_math=False)
    else:
        axes.set_yticks([0], ["compute"])
    axes.set_xlim(0, line["cycles"])
    axes.set_xlabel("cycles since the start (predicted, cold frame; red: waiting for weights)")
    if line["loaded"]:
        right = axes.twinx()
        right.plot([t for t, _ in line["loaded"]], [n / 1e6 for _, n in line["loaded"]], color=_GREEN)
        right.set_ylabel("weights loaded, MB", fontsize=7)
    return _svg(figure)


def pareto(report: dict[str, Any]) -> str:
    """The front of the search, and the chosen point."""
    figure = Figure(figsize=(5, 3.2))
    axes = figure.subplots()
    front = report["search"]["front"]
    means = [(c["cold_cycles"] + c["steady_cycles"]) / 2 for c in front]
    axes.scatter([c["resources"]["lut"] / 1e3 for c in front], means, s=12, color=_GREY, label="front (predicted)")
    chosen = report["resources"]["estimated"]
    cycles = report["cycles"]
    axes.scatter([chosen["lut"] / 1e3], [(cycles["predicted"] + cycles["predicted_steady"]) / 2], marker="*", s=90,
                 color=_RED, label="chosen")
    axes.set_xlabel("thousand LUT (estimated)")
    axes.set_ylabel("cycles, mean of cold and following")
    axes.set_yscale("log")
    axes.legend(fontsize=7)
    return _svg(figure)


def resources(report: dict[str, Any]) -> str:
    """Shares of the board."""
    table = report["resources"]
    names = [n for n, v in table["available"].items() if v]
    figure = Figure(figsize=(5, 2.4))
    axes = figure.subplots()
    places = list(range(len(names)))
    for kind, offset, colour in (("estimated", 0.2, _BLUE), ("synthesised", -0.2, _GREEN)):
        if table[kind]:
            shares = [100 * table[kind][n] / table["available"][n] for n in names]
            axes.barh([p + offset for p in places], shares, height=0.35, color=colour, label=kind)
    axes.set_yticks(places, [n.upper() for n in names])
    axes.set_xlabel("% of the board")
    axes.legend(fontsize=7)
    return _svg(figure)


def encryption(report: dict[str, Any]) -> str:
    """Encrypted and plain bytes per layer."""
    figure = Figure(figsize=(10, 1.8))
    axes = figure.subplots()
    left = 0
    for row in report["layers"]:
        colour = _RED if row["encrypted"] else _GREY
        axes.barh(0, row["bytes"], left=left, color=colour, edgecolor="white", linewidth=0.4)
        left += row["bytes"]
    axes.set_yticks([])
    axes.set_xlabel("bytes of the weight stream, layer by layer (red: encrypted; all are authenticated)")
    return _svg(figure)


PLOTS = {"layers": layers, "breakdown": breakdown, "roofline": roofline, "timeline": timeline, "pareto": pareto,
         "resources": resources, "encryption": encryption}
