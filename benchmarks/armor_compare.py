"""Guided against plain runs: the fewest cycles at equal robust accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from armor_runs import finished, priced

from hwgen.armor.front import load_points


def comparisons(folders: Mapping[int, Mapping[str, Path]], *, style: str, objective: str, attack: str,
                about: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Guided against plain on test images, seed by seed, after as many points of both (fine-tunings that were kept).

    Args:
        folders: of the runs, by seed and method; those that are not finished or not attacked take no part.
        style, objective: of the accelerators; attack: by which robust accuracy is compared.
        about: what all rows say.

    Returns:
        At equal robust accuracy: levels are the accuracies of all points that none of their own run beats in cycles; at
        each, the point of either run with the fewest cycles that is at least so robust. And point by point: both runs
        after as many fine-tunings that were kept.
    """
    rows, paired = [], []
    for seed, by_method in folders.items():
        runs = {method: load_points([folder]) for method, folder in by_method.items() if finished(folder)}
        runs = {method: priced(points, style, objective) for method, points in runs.items()
                if all(attack in (p["test"] or {"accuracy": {}})["accuracy"] for p in points)}
        for method in sorted(set(runs) - {"guided"} if "guided" in runs else ()):
            most = min(len(runs[method]), len(runs["guided"]))
            both = [runs[kind][1:most] for kind in (method, "guided")]
            levels = {p["test"]["accuracy"][attack] for points in both for p in points
                      if fewest(points, attack, p["test"]["accuracy"][attack]) is p}
            common = {**about, "style": style, "seed": seed, "method": method, "points": most - 1, "attack": attack}
            for level in sorted(levels):
                plain, guided = (fewest(points, attack, level) for points in both)
                rows.append({**common, "level": level, **beside(plain, guided, attack)})
            paired += [{**common, **beside(plain, guided, attack)} for plain, guided in zip(*both, strict=True)]
    return rows, paired


def beside(plain: dict[str, Any] | None, guided: dict[str, Any] | None, attack: str) -> dict[str, Any]:
    """Both points, and by how much fewer cycles the guided one takes; None: there is none."""
    return {"fewer": 1 - mean_cycles(guided) / mean_cycles(plain) if plain and guided else None,
            "plain": plain and compared_fields(plain, attack), "guided": guided and compared_fields(guided, attack)}


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
