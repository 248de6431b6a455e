"""Which style wins, and what is said about it."""

from __future__ import annotations

import pytest

from hwgen.config.board import load_board
from hwgen.stream.choose import choose, explain

BOARD = load_board("kv260")


def candidate(cold, steady, interval, dsp):
    resources = {"dsp": dsp, "bram36": 10, "uram": 0, "lut": 1000, "ff": 1000}
    return {"cold_cycles": cold, "steady_cycles": steady, "interval_cycles": interval, "resources": resources,
            "energy_uj": dsp / 10, "config": {"clock_mhz": 300.0}}


ENGINE, STREAM = candidate(200, 100, 100, 300), candidate(600, 90, 40, 900)


@pytest.mark.parametrize("objective, style", [("latency", "engine"), ("throughput", "stream"), ("area", "engine"),
                                              ("energy", "engine")])
def test_the_objective_decides(objective, style):
    assert choose(ENGINE, STREAM, objective, BOARD) == style
    text = explain(ENGINE, STREAM, objective, BOARD, {})
    assert "100 cycles a frame that is alone (200 cold)" in text and "7,500,000 frames a second" in text
    assert f"The {'tensor engine' if style == 'engine' else 'streaming pipeline'} was chosen" in text


def test_the_only_possible_one():
    assert choose(None, STREAM, "latency", BOARD) == "stream" and choose(ENGINE, None, "throughput", BOARD) == "engine"
    text = explain(ENGINE, None, "latency", BOARD, {"stream": "needs 4,000 DSP"})
    assert "Streaming pipeline: needs 4,000 DSP." in text and "the only one of the two" in text
