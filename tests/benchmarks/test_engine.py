"""Rows and tables of the engine's figures."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.zoo.recipe import load_recipe
from tests.helpers.benchmarks import script

FIELDS = ["network", "input", "board", "style", "config", "state", "macs", "cycles", "predicted_cycles",
          "mac_efficiency", "roofline_efficiency", "bit_exact", "seconds"]


engine = script("engine")


def report(network: str, board: str = "zcu104", *, macs: int = 2_048_000, cold: int = 1250, steady: int = 1100,
           ) -> dict[str, Any]:
    """What record() reads of a report: 1,000 ideal cycles, 48,000 bytes of image, 40 bytes a cycle."""
    ideal = macs // 2048
    return {
        "model": network, "board": board, "config": AcceleratorConfig().to_dict(),
        "network": {"macs": macs, "parameters": 5, "weights": "seeded"},
        "cycles": {"measured": cold, "measured_steady": steady, "predicted": cold + 10, "predicted_steady": steady + 10,
                   "ideal": ideal, "mac_efficiency": ideal / cold, "mac_efficiency_steady": ideal / steady,
                   "roofline_efficiency": max(ideal, 1205) / cold, "prediction_error": 10 / cold,
                   "prediction_error_steady": 10 / steady},
        "memory": {"input_bytes": 100, "output_bytes": 100, "image_bytes": 48_000, "bytes_per_cycle": 40.0},
        "encryption": {"cycles_added": 4},
        "verification": {"bit_exact": True, "frames": 2, "elements_compared": 20, "seconds": 3.5},
    }


def test_rows_have_exactly_the_published_fields(engine: ModuleType) -> None:
    rows = engine.rows(engine.record(report("net"), False, "32x32"))
    assert [list(row) for row in rows] == [FIELDS, FIELDS]
    assert [(r["state"], r["cycles"], r["predicted_cycles"]) for r in rows] == [
        ("cold", 1250, 1260), ("steady", 1100, 1110)]
    assert [r["mac_efficiency"] for r in rows] == [1000 / 1250, 1000 / 1100]


def test_a_following_frame_with_resident_weights_need_not_fetch_them(engine: ModuleType) -> None:
    streamed, resident = (engine.record(report("net"), kept, "32x32")["roofline_efficiency_steady"]
                          for kept in (False, True))
    assert streamed == (48_200 / 40) / 1100
    assert resident == 1000 / 1100


def test_bars_say_what_is_met(engine: ModuleType) -> None:
    found = [engine.record(report("resnet50", cold=cycles), False, "224x224") for cycles in (1100, 1200, 1300)]
    for record, met in zip(found, ("aim", "must", "NO"), strict=True):
        lines = [line for line in engine.bars([record]).splitlines() if line.startswith("| resnet50")]
        assert len(lines) == 1 and lines[0].endswith(f"{record['mac_efficiency_cold']:.1%} | {met} |")
    wrong = {**found[0], "bit_exact": False}
    assert "not measured | – |" in next(line for line in engine.bars([wrong]).splitlines() if "resnet50" in line)


def test_speed_up_against_the_dense_twin(engine: ModuleType) -> None:
    dense = engine.record(report("net", macs=8_192_000, cold=5000, steady=5000), False, "32x32")
    small = engine.record(report("net_tt", cold=1250, steady=2000), True, "32x32")
    text = engine.speed_ups([dense, small], {"net_tt": "net", "other_tt": "other"})
    assert "| net_tt | net | zcu104 | cold | 4.00× | 4.00× | 1.00 | yes |" in text
    assert "| net_tt | net | zcu104 | steady | 4.00× | 2.50× | 0.62 | NO |" in text
    assert "Not measured: other_tt." in text


def test_selection(engine: ModuleType) -> None:
    known = {("resnet50", "zcu104"): {}}
    assert engine.selected("", False, {}) == list(engine.RUNS)
    assert ("resnet50", "zcu104") not in engine.selected("", True, known)
    assert engine.selected("resnet18_224:pynq-z2,resnet50", False, known) == [
        ("resnet50", "zcu104"), ("resnet18_224", "pynq-z2")]
    assert engine.selected("none", False, known) == []
    with pytest.raises(SystemExit, match="no such run: resnet5"):
        engine.selected("resnet5", False, known)


def test_every_run_and_twin_is_in_the_zoo(engine: ModuleType) -> None:
    for network, _ in engine.RUNS:
        load_recipe(network)
    runs = set(engine.RUNS)
    for compressed, dense in engine.twins().items():
        assert {(compressed, "zcu104"), (dense, "zcu104")} <= runs


def test_rows_that_were_not_measured_stay(engine: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "RESULTS", tmp_path)
    monkeypatch.setattr(engine, "RECORDS", tmp_path / "main.json")
    monkeypatch.setattr(engine, "ROWS", tmp_path / "engine.json")
    monkeypatch.setattr(engine, "write_section", lambda name, text: None)
    first = engine.record(report("resnet50"), False, "224x224")
    engine.publish({("resnet50", "zcu104"): first})
    known = engine.known_records(tmp_path / "main.json")
    known["resnet8", "zcu104"] = engine.record(report("resnet8"), True, "32x32")
    engine.publish(known)
    rows = json.loads((tmp_path / "engine.json").read_text())
    assert [r["network"] for r in rows] == ["resnet50", "resnet50", "resnet8", "resnet8"]
    assert engine.known_records(tmp_path / "main.json")["resnet50", "zcu104"] == first


def test_published_rows_are_made_from_the_published_records(engine: ModuleType) -> None:
    records = engine.ordered(engine.known_records())
    assert json.loads(engine.ROWS.read_text()) == [row for r in records for row in engine.rows(r)]
    assert records
