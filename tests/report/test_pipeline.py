"""The report of a streaming pipeline: a complete build of a very small network, with and without a proof."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hwgen.cli.summary import summary_rows
from hwgen.errors import HwgenError
from hwgen.pipeline.request import BuildRequest
from hwgen.report.html import render
from tests.helpers.small_build import build_small


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict:
    folder = tmp_path_factory.mktemp("report")
    build_small(folder, style="stream")
    return json.loads((folder / "build" / "report.json").read_text())


def test_stages_are_layers(report: dict) -> None:
    stages = report["config"]["pipeline"]["stages"]
    assert [row["name"] for row in report["layers"]] == [stage["name"] for stage in stages]
    assert [row["shape"] for row in report["layers"]] == [f"{s['pe']} x {s['simd']}" for s in stages]
    assert max(row["cycles"] for row in report["layers"]) == report["cycles"]["predicted_interval"]
    assert len(report["timeline"]["spans"]) == len(stages)
    assert report["throughput_fps"] == pytest.approx(
        report["config"]["clock_mhz"] * 1e6 / report["cycles"]["predicted_interval"])
    text = render(report)
    assert f"pipeline of {len(stages)} stages" in text and "Streaming pipeline:" in text and text.count("<svg") == 6


def test_measured_interval(report: dict) -> None:
    proven = json.loads(json.dumps(report))
    proven["cycles"] |= {"measured": 900, "measured_steady": 800, "measured_interval": 64,
                         "batch": {"frames": 6, "cycles": 1200, "interval": 64}}
    text = render(proven)
    assert "64 cycles from frame to frame" in text and "6 frames of one start in 1,200 cycles" in text
    rows = dict(summary_rows(proven, Path("build")))
    assert rows["engine"].startswith("pipeline of ") and rows["efficiency"].endswith("from frame to frame")


@pytest.mark.parametrize("objective", ["latency", "throughput"])
def test_auto_says_why(objective: str, tmp_path: Path) -> None:
    build_small(tmp_path, style="auto", objective=objective, last="search")
    values = json.loads((tmp_path / "build" / "search" / "search.json").read_text())
    text = values["explanation"]
    assert "Tensor engine: " in text and "Streaming pipeline: " in text and f"by the objective '{objective}'" in text
    chosen = "streaming pipeline" if "pipeline" in values["chosen"]["config"] else "tensor engine"
    assert f"The {chosen} was chosen" in text


def test_requests_are_checked(tmp_path: Path) -> None:
    with pytest.raises(HwgenError, match="unknown style 'fast'"):
        BuildRequest(model="resnet8", board="kv260", out=tmp_path, style="fast")
    with pytest.raises(HwgenError, match="-1 is not possible"):
        BuildRequest(model="resnet8", board="kv260", out=tmp_path, style="stream", fps=-1)
    with pytest.raises(HwgenError, match="100 is not possible"):
        BuildRequest(model="resnet8", board="kv260", out=tmp_path, fps=100)
