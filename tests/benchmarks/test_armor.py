"""Guided against plain runs: the fewest cycles within the tolerance, after as many points."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def armor() -> Iterator[ModuleType]:
    sys.path.insert(0, str(BENCHMARKS))
    try:
        yield import_module("armor")
    finally:
        sys.path.remove(str(BENCHMARKS))


def run(folder: Path, method: str, points: list[tuple[float, int]], *, finished: bool = True) -> None:
    """A run: (robust accuracy, cycles) of its points."""
    folder.mkdir(parents=True)
    events = [{"event": "point", "robust_accuracy": robust, "cycles": cycles, "steady_cycles": cycles // 2,
               "parameters": 10 * cycles, "macs": 100 * cycles} for robust, cycles in points]
    (folder / "events.json").write_text(json.dumps([*events, *[{"event": "finished"}] * finished]))
    (folder / "settings.json").write_text(json.dumps({
        "model": "net", "board": "b", "dataset": "d",
        "settings": {"method": method, "seed": 0, "robust": {"epsilon": 4.0}}}))


def test_as_many_points_and_within_the_tolerance(armor: ModuleType, tmp_path: Path) -> None:
    folder = tmp_path / "net-b-engine-medium"
    run(folder / "guided-0", "guided", [(0.9, 1000), (0.91, 700), (0.89, 500), (0.9, 200)])
    run(folder / "l1-0", "l1", [(0.9, 1000), (0.9, 800), (0.87, 400)])  # the last one has lost too much
    run(folder / "random-0", "random", [(0.9, 1000), (0.9, 100)], finished=False)
    options = argparse.Namespace(size="medium", out=tmp_path, board="b")
    row, = armor.comparisons(options, "net", "engine")
    assert (row["method"], row["points"], row["guided_cycles"], row["plain_cycles"]) == ("l1", 2, 500, 800)
    assert row["fewer"] == pytest.approx(1 - 500 / 800)
    assert "500 / 800" in armor.comparison_table([row]) and "37.5 %" in armor.comparison_table([row])


def test_rows_of_others_are_kept(armor: ModuleType, tmp_path: Path) -> None:
    def row(name: str, value: int) -> dict[str, object]:
        return {"network": name, "board": "b", "style": "engine", "value": value}

    path = tmp_path / "rows.json"
    armor.kept(path, [row("a", 1), row("b", 2)])
    assert armor.kept(path, [row("a", 3)]) == json.loads(path.read_text()) == [row("b", 2), row("a", 3)]
