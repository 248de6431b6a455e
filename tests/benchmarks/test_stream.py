"""Rows and table of the pipelines' figures."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from hwgen.config.pipeline import PipelineConfig
from hwgen.stream.shapes import stages_of
from tests.helpers.benchmarks import script
from tests.helpers.random_graphs import small_resnet

stream = script("stream")


def test_a_row_and_its_line(stream: ModuleType) -> None:
    stages = stages_of(small_resnet(np.random.default_rng(1), widths=(4,), size=8))
    pipeline = PipelineConfig(stages=stages)
    ideal = pipeline.slowest.frame_steps
    report = {
        "model": "net", "board": "kv260", "config": {"pipeline": pipeline.to_dict(), "clock_mhz": 300.0},
        "network": {"macs": 1000, "weights": "seeded"},
        "cycles": {"batch": {"interval": round(1.03 * ideal), "frames": 6, "cycles": 7 * ideal},
                   "predicted_interval": ideal, "measured": 9, "measured_steady": 8, "predicted": 7,
                   "predicted_steady": 6},
        "resources": {"estimated": {"dsp": 12.0, "lut": 3456.0}},
        "verification": {"bit_exact": True, "frames": 10, "elements_compared": 100},
    }
    row = stream.row(report)
    assert row["ideal_interval"] == ideal and row["above_ideal"] == pytest.approx(0.03, abs=1e-3)
    assert row["fps"] == pytest.approx(300e6 / round(1.03 * ideal)) and row["fps_250_mhz"] < row["fps"]
    line = stream.table([row]).splitlines()[-1]
    assert "| must |" in line and "10 of 10" in line and f"{100 * row['above_ideal']:+.2f}%" in line
