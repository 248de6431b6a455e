"""The words say what the figures say: every reason is named when it is the one that costs most."""

from __future__ import annotations

from typing import Any

import pytest

from hwgen.report.breakdown import LOSSES
from hwgen.report.explain import explain, lost_cycles, reasons, worst

USAGE = {"op": "QConv2d", "kernel": (3, 3), "groups": 1, "inputs": 3, "outputs": 10, "height": 7, "width": 7,
         "reads_input": False, "raw": False, "loads": 2, "stores": 1, "loaded": 6400, "columns": 64, "input_lanes": 288,
         "macs_per_output": 27, "step_slots": 4, "tile_lines": 16}
REPORT = {"memory": {"bytes_per_cycle": 40, "spilled_bytes": 0}, "config": {"axi_ports": 3, "p_i": 32}}


def layer(lost: dict[str, float], ideal: float = 100.0, name: str = "conv", **usage: Any) -> dict[str, Any]:
    every = {**dict.fromkeys(LOSSES, 0.0), **lost}
    measured = {"cycles": ideal + sum(every.values()), "busy": 90, "stall_other": every["stall_other"], "lost": every}
    return {"name": name, "ideal": ideal, "bytes": 40_000, "descriptors": 3, "drains": 1, "usage": {**USAGE, **usage},
            "measured": {"cold": measured}}


@pytest.mark.parametrize(("name", "usage", "words"), [
    ("idle_inputs", {}, "3 input channels, 3 x 3 taps: 27 of 288 lanes have work"),
    ("idle_inputs", {"groups": 96, "inputs": 96, "macs_per_output": 9},
     "96 groups: an output channel reads 1 of 96 channels, 3 x 3 taps: 9 of 288 lanes"),
    ("idle_outputs", {}, "10 output channels in blocks of 64 lanes: 10 of 64 have work"),
    ("idle_outputs", {"outputs": 100, "columns": 32}, "100 of 128 have work"),
    ("idle_pixels", {}, "a row of 7 pixels"),
    ("without_macs", {"op": "QMaxPool", "kernel": (2, 2)}, "a pool of 2 x 2 windows"),
    ("without_macs", {"op": "QAdd"}, "a sum"),
    ("without_macs", {"op": "QConcat"}, "concatenation"),
    ("without_macs", {}, "contractions"),
    ("swap", {}, "7 x 7 pixels: steps of 4 cycles, the next tile takes 16"),
    ("memory", {}, "40,000 bytes are 1,000 cycles of the memory's bandwidth, the array is through with them in 90"),
    ("stall_act", {"reads_input": True}, "2 of 3 descriptors wait for the frame's input: 6,400 bytes, 200 cycles at 32 "
     "bytes a cycle, beside 90 of the array, 1 wait for stores"),
    ("stall_act", {}, "cores of its kernel"),
    ("stall_drain", {}, "1 of 3 descriptors read what has just been written"),
    ("stall_window", {}, "the window unit"),
    ("stall_other", {}, "3 descriptors, 333 cycles each"),
    ("stall_other", {"raw": True}, "raw results"),
])
def test_the_largest_loss_is_explained(name: str, usage: dict[str, Any], words: str) -> None:
    text = explain(layer({name: 1000.0, "idle_units": 1.0}, **usage), "cold", REPORT)
    assert text.startswith(f"{LOSSES[name]} 1,000 (")
    assert words in text
    assert ";" not in text  # one cycle elsewhere is not worth words


def test_words_follow_what_else_is_known() -> None:
    spilled = {**REPORT, "memory": {"bytes_per_cycle": 40, "spilled_bytes": 1}}
    assert "strips of maps" in explain(layer({"stall_act": 1000.0}), "cold", spilled)
    quick = {**layer({"memory": 1000.0}), "bytes": 400}
    assert "behind those of the layers before" in explain(quick, "cold", REPORT)
    residual = {**layer({"stall_drain": 1000.0}), "drains": 0}
    assert "still reads its residual" in explain(residual, "cold", REPORT)
    assert explain(layer({"idle_units": 1000.0}), "cold", REPORT) == f"{LOSSES['idle_units']} 1,000"


def test_reasons_are_sorted_and_few() -> None:
    found = layer({"swap": 300.0, "memory": 500.0, "stall_act": 200.0, "stall_drain": 150.0, "idle_units": -400.0})
    assert reasons(found, "cold") == [("memory", 500.0), ("swap", 300.0), ("stall_act", 200.0)]
    assert explain(found, "cold", REPORT).index("500") < explain(found, "cold", REPORT).index("300")
    assert reasons(layer({}), "cold") == [] and explain(layer({}), "cold", REPORT) == ""


def test_worst_layers_are_those_that_lose_most() -> None:
    layers = [layer({"swap": cycles}, name=name) for name, cycles in
              (("a", 5.0), ("b", 50.0), ("c", 0.0), ("d", 50.0), ("e", 7.0))]
    big = layer({"swap": 6.0}, ideal=1e6, name="big")  # takes longest, loses little
    assert [r["name"] for r in worst([*layers, big], "cold", 4)] == ["b", "d", "e", "big"]
    assert [lost_cycles(r, "cold") for r in worst(layers, "cold")] == [50, 50, 7, 5]
