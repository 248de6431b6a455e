"""Guided against plain runs: the fewest cycles at equal robust accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from armor_runs import finished, priced

from hwgen.armor.front import load_points


def comparisons(folders: Mapping[int, Mapping[str, Path]], *, style: str, objective: str, attack: str,
                about: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Guided against plain at equal robust accuracy on test images, seed by seed, after as many points of both.

    Levels are the accuracies of all points that none of their own run beats in cycles; at each, the point of either run
    with the fewest cycles that is at least so robust.

    Args:
        folders: of the runs, by seed and method; those that are not finished or not attacked take no part.
        style, objective: of the accelerators; attack: by which robust accuracy is compared.
        about: what all rows say.
    """
    rows = []
    for seed, by_method in folders.items():
        runs = {method: load_points([folder]) for method, folder in by_method.items() if finished(folder)}
        runs = {method: priced(points, style, objective) for method, points in runs.items()
                if all(attack in (p["test"] or {"accuracy": {}})["accuracy"] for p in points)}
        for method in sorted(set(runs) - {"guided"} if "guided" in runs else ()):
            most = min(len(runs[method]), len(runs["guided"]))
            both = [runs[kind][1:most] for kind in (method, "guided")]
            levels = {p["test"]["accuracy"][attack] for points in both for p in points
                      if fewest(points, attack, p["test"]["accuracy"][attack]) is p}
            for level in sorted(levels):
                plain, guided = (fewest(points, attack, level) for points in both)
                rows.append({**about, "style": style, "seed": seed, "method": method, "points": most - 1,
                             "attack": attack, "level": level,
                             "fewer": 1 - mean_cycles(guided) / mean_cycles(plain) if plain and guided else None,
                             "plain": plain and compared_fields(plain, attack),
                             "guided": guided and compared_fields(guided, attack)})
    return rows


def fewest(points: list[dict[str, Any]], attack: str, level: float) -> dict[str, Any] | None:
    """The point with the fewest cycles (mean of a cold and a following frame) of those that are at least so robust."""
    able = [p for p in points if p["test"]["accuracy"][attack] >= level - 1e-9]
    return min(able, key=mean_cycles, default=None)


def mean_cycles(point: dict[str, Any]) -> float:
    """Of a cold and a following frame."""
    return (point["cycles"] + point["steady_cycles"]) / 2


def compared_fields(point: dict[str, Any], attack: str) -> dict[str, Any]:
    """What is compared."""
    return {"robust_accuracy": point["test"]["accuracy"][attack],
            **{field: point[field] for field in ("point", "parameters", "macs", "cycles", "steady_cycles")}}
