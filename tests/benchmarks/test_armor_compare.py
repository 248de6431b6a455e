"""Guided against plain runs: the fewest cycles at equal robust accuracy, after as many points."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest

from tests.helpers.benchmarks import script

armor_compare = script("armor_compare")
armor_tables = script("armor_tables")


def run(folder: Path, method: str, points: list[tuple[float, int]], *, finished: bool = True) -> None:
    """A run: (robust accuracy on test images, cycles) of its points."""
    folder.mkdir(parents=True)
    events = [{"event": "point", "cycles": cycles, "steady_cycles": cycles // 2, "parameters": 10 * cycles,
               "style": "engine", "macs": 100 * cycles} for _, cycles in points]
    (folder / "events.json").write_text(json.dumps([*events, *[{"event": "finished"}] * finished]))
    (folder / "measured.json").write_text(json.dumps({number: {"accuracy": {"clean": 1.0, "pgd50": robust}, "images": 9}
                                                      for number, (robust, _) in enumerate(points)}))
    (folder / "settings.json").write_text(json.dumps({
        "model": "net", "board": "b", "dataset": "d",
        "settings": {"method": method, "seed": 0, "robust": {"epsilon": 4.0}}}))


def test_at_equal_robust_accuracy_and_after_as_many_points(
    armor_compare: ModuleType, armor_tables: ModuleType, tmp_path: Path,
) -> None:
    folder = tmp_path / "net-b-engine-medium"
    run(folder / "guided-0", "guided", [(0.9, 1000), (0.91, 700), (0.89, 500), (0.88, 400), (0.9, 200)])
    # the first pruned one is beaten by the second one
    run(folder / "l1-0", "l1", [(0.9, 1000), (0.85, 900), (0.89, 800), (0.92, 850)])
    run(folder / "random-0", "random", [(0.9, 1000), (0.9, 100)], finished=False)
    about = {"network": "net", "board": "b", "size": "medium", "saliency": "divergence", "batchnorm": False,
             "stride": 0.2, "depth": True, "pruned_for": "engine"}
    folders = {0: {name: folder / f"{name}-0" for name in ("guided", "taylor", "l1", "random")}}  # one is not there
    rows, paired = armor_compare.comparisons(folders, style="engine", objective="latency", attack="pgd50", about=about)
    found = {r["level"]: tuple(r[side] and r[side]["cycles"] for side in ("guided", "plain")) for r in rows}
    assert found == {0.88: (400, 800), 0.89: (500, 800), 0.91: (700, 850), 0.92: (None, 850)}
    assert [r["fewer"] for r in rows] == [pytest.approx(0.5), pytest.approx(1 - 500 / 800), pytest.approx(
        1 - 700 / 850), None]
    assert [(r["guided"]["cycles"], r["plain"]["cycles"]) for r in paired] == [(700, 900), (500, 800), (400, 850)]
    assert [r["fewer"] for r in paired] == pytest.approx([1 - 700 / 900, 1 - 500 / 800, 1 - 400 / 850])
    assert "| 3 | 400 / 200 | 88.0 % |" in armor_tables.comparison_table(paired, paired=True)
    text = armor_tables.comparison_table(rows)
    assert "500 / 250" in text and "37.5 %" in text and "none | | " in text
    assert text.count("| l1, medium, stride 0.2, BatchNorm folded, seed 0 |") == 4
    assert "| b, engine | l1" in text
    assert "| b, stream, pruned for the engine | l1" in armor_tables.comparison_table([{**rows[0], "style": "stream"}])
    for saliency, by in (("taylor", "magnitudes"), ("fisher", "squares")):
        assert f"l1 (guided by {by}), medium" in armor_tables.comparison_table([{**rows[0], "saliency": saliency}])
