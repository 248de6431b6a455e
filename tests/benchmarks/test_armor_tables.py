"""Rows of an earlier call: which stay, and what they lend the new ones."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

from tests.helpers.benchmarks import script

armor_tables = script("armor_tables")


def test_rows_of_others_are_kept(armor_tables: ModuleType, tmp_path: Path) -> None:
    def row(name: str, method: str, value: int) -> dict[str, object]:
        return {"network": name, "board": "b", "style": "engine", "size": "medium", "method": method, "value": value,
                "seed": 0, "saliency": "divergence", "batchnorm": True, "stride": 0.4, "depth": True,
                "point": 3, "attack": "pgd"}

    path = tmp_path / "rows.json"
    others = [row("a", "l1", 4), row("b", "guided", 2)]
    armor_tables.kept(path, [row("a", "guided", 1), *others])
    both = armor_tables.kept(path, [row("a", "guided", 3)])
    assert both == json.loads(path.read_text()) == [*others, row("a", "guided", 3)]
    for changed in ({"seed": 1}, {"batchnorm": False}, {"stride": 0.2}, {"saliency": "taylor"}, {"depth": False},
                    {"attack": "auto"}):
        armor_tables.kept(path, [row("a", "guided", 3)])
        both = armor_tables.kept(path, [{**row("a", "guided", 5), **changed}])
        assert [r["value"] for r in both if r["network"] == "a" and r["method"] == "guided"] == [3, 5], changed
        path.write_text("[]")
    armor_tables.kept(path, [row("a", "guided", 3)])  # of another network, an old attack says nothing
    both = armor_tables.kept(path, [{**row("a", "guided", 5), "attack": "auto", "point": 4}])
    assert [r["value"] for r in both] == [5]


def test_times_and_cycles_of_the_same_network_stay(armor_tables: ModuleType, tmp_path: Path) -> None:
    def row(point: int, macs: int, us: float | None, *, cycles: int = 0, p_i: int = 8) -> dict[str, object]:
        return {"network": "a", "method": "guided", "seed": 0, "point": point, "size": "medium", "parameters": 9,
                "macs": macs, "cpu_latency_us": us, "cpu": us and "here", "board": "b", "style": "engine",
                "saliency": "divergence", "batchnorm": True, "stride": 0.4, "depth": True,
                "config_sha256": str(p_i), "cycles": cycles or 99, "steady_cycles": 1,
                "interval_cycles": 1, "latency_us": 1.0, "steady_latency_us": 1.0, "energy_uj_estimated": us,
                "cycles_origin": "simulated" if cycles else "predicted (program)"}

    path = tmp_path / "rows.json"
    path.write_text(json.dumps([row(1, 5, 100.0), row(2, 6, 200.0)]))
    found = armor_tables.with_known([row(1, 5, None), row(2, 7, None), row(2, 6, 150.0)], path)
    assert [r["cpu_latency_us"] for r in found] == [100.0, None, 150.0]
    assert found[0]["cpu"] == "here"
    path.write_text(json.dumps([row(1, 5, 100.0, cycles=70)]))
    found = armor_tables.with_known([row(1, 5, None), row(1, 5, None, p_i=16), row(1, 5, None, cycles=71)], path)
    assert [(r["cycles"], r["cycles_origin"].split()[0]) for r in found] == [
        (70, "simulated"), (99, "predicted"), (71, "simulated")]
    assert found[0]["energy_uj_estimated"] is None  # of the present estimate
