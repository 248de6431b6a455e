"""Guided against plain runs: the fewest cycles within the tolerance, after as many points."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from types import ModuleType

import pytest

from hwgen.armor.robustness import Robustness, RobustnessSettings
from tests.helpers.benchmarks import script

armor = script("armor")


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


def test_at_equal_robust_accuracy_and_after_as_many_points(armor: ModuleType, tmp_path: Path) -> None:
    folder = tmp_path / "net-b-engine-medium"
    run(folder / "guided-0", "guided", [(0.9, 1000), (0.91, 700), (0.89, 500), (0.88, 400), (0.9, 200)])
    # the first pruned one is beaten by the second one
    run(folder / "l1-0", "l1", [(0.9, 1000), (0.85, 900), (0.89, 800), (0.92, 850)])
    run(folder / "random-0", "random", [(0.9, 1000), (0.9, 100)], finished=False)
    options = argparse.Namespace(size="medium", board="b", style="engine", no_batchnorm=True, stride=0.2)
    rows = armor.comparisons(options, "net", {0: {name: folder / f"{name}-0" for name in (*armor.METHODS, "none")}})
    found = {r["level"]: tuple(r[side] and r[side]["cycles"] for side in ("guided", "plain")) for r in rows}
    assert found == {0.88: (400, 800), 0.89: (500, 800), 0.91: (700, 850), 0.92: (None, 850)}
    assert [r["fewer"] for r in rows] == [pytest.approx(0.5), pytest.approx(1 - 500 / 800), pytest.approx(
        1 - 700 / 850), None]
    text = armor.comparison_table(rows)
    assert "500 / 250" in text and "37.5 %" in text and "none | | " in text
    assert text.count("| l1, medium, stride 0.2, BatchNorm folded, seed 0 |") == 4
    assert "l1 (guided by magnitudes), medium" in armor.comparison_table([{**rows[0], "saliency": "taylor"}])


def test_rows_of_others_are_kept(armor: ModuleType, tmp_path: Path) -> None:
    def row(name: str, method: str, value: int) -> dict[str, object]:
        return {"network": name, "board": "b", "style": "engine", "size": "medium", "method": method, "value": value,
                "seed": 0, "saliency": "fisher", "batchnorm": True, "stride": 0.4, "point": 3, "attack": "pgd"}

    path = tmp_path / "rows.json"
    others = [row("a", "l1", 4), row("b", "guided", 2)]
    armor.kept(path, [row("a", "guided", 1), *others])
    assert armor.kept(path, [row("a", "guided", 3)]) == json.loads(path.read_text()) == [*others, row("a", "guided", 3)]
    for changed in ({"seed": 1}, {"batchnorm": False}, {"stride": 0.2}, {"saliency": "taylor"}, {"attack": "auto"}):
        armor.kept(path, [row("a", "guided", 3)])
        both = armor.kept(path, [{**row("a", "guided", 5), **changed}])
        assert [r["value"] for r in both if r["network"] == "a" and r["method"] == "guided"] == [3, 5], changed
        path.write_text("[]")
    armor.kept(path, [row("a", "guided", 3)])  # of another network, an old attack says nothing
    assert [r["value"] for r in armor.kept(path, [{**row("a", "guided", 5), "attack": "auto", "point": 4}])] == [5]


def test_autoattack_is_kept_beside_the_other_attacks(armor: ModuleType, tmp_path: Path,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured once; another number of images is another measurement."""
    counts: list[int] = []

    def measure(module: object, test: object, spec: object, settings: RobustnessSettings, _: object) -> Robustness:
        counts.append(settings.images)
        return Robustness(images=settings.images, accuracy={"clean": 0.9, "autoattack": 0.5},
                          settings=settings.to_dict())

    for name, value in (("measure_robustness", measure), ("load_dataset", lambda *_: None), ("load_graph", str),
                        ("GraphModule", str)):
        monkeypatch.setattr(armor, name, value)
    test = {"accuracy": {"clean": 0.95, "pgd20": 0.8}, "images": 1000,
            "settings": RobustnessSettings(epsilon=4.0, attacks=("pgd20",), images=1000).to_dict()}
    point = {"folder": str(tmp_path), "point": 3, "epsilon": 4.0, "model": "mobilenet_sar", "run": "r", "test": test}
    for images in (7, 7, 9):
        armor.autoattack([point], argparse.Namespace(autoattack=images, data=tmp_path), armor.Printer())
    assert counts == [7, 9]
    found = armor.measurements(point)
    assert [(clean, robust, attack, images) for clean, robust, _, attack, images in found] == [
        (0.95, 0.8, "pgd20", 1000), (0.9, 0.5, "autoattack", 9)]
    assert "AutoAttack" in found[1][2].describe(found[1][3])


def test_times_and_cycles_of_the_same_network_stay(armor: ModuleType, tmp_path: Path) -> None:
    def row(point: int, macs: int, us: float | None, *, cycles: int = 0, p_i: int = 8) -> dict[str, object]:
        return {"network": "a", "method": "guided", "seed": 0, "point": point, "size": "medium", "parameters": 9,
                "macs": macs, "cpu_latency_us": us, "cpu": us and "here", "board": "b", "style": "engine",
                "saliency": "fisher", "batchnorm": True, "stride": 0.4,
                "config_sha256": armor.fingerprint({"p_i": p_i}), "cycles": cycles or 99, "steady_cycles": 1,
                "interval_cycles": 1, "latency_us": 1.0, "steady_latency_us": 1.0, "energy_uj_estimated": us,
                "cycles_origin": "simulated" if cycles else "predicted (program)"}

    path = tmp_path / "rows.json"
    path.write_text(json.dumps([row(1, 5, 100.0), row(2, 6, 200.0)]))
    found = armor.with_known([row(1, 5, None), row(2, 7, None), row(2, 6, 150.0)], path)
    assert [r["cpu_latency_us"] for r in found] == [100.0, None, 150.0]
    assert found[0]["cpu"] == "here"
    path.write_text(json.dumps([row(1, 5, 100.0, cycles=70)]))
    found = armor.with_known([row(1, 5, None), row(1, 5, None, p_i=16), row(1, 5, None, cycles=71)], path)
    assert [(r["cycles"], r["cycles_origin"].split()[0]) for r in found] == [
        (70, "simulated"), (99, "predicted"), (71, "simulated")]
    assert found[0]["energy_uj_estimated"] is None  # of the present estimate
