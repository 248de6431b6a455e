"""report.json's arithmetic, and that the HTML holds what it should."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from hwgen.cli.summary import summary_rows
from hwgen.report.html import render
from tests.helpers.small_build import build_small


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict:
    folder = tmp_path_factory.mktemp("report")
    build_small(folder)
    return json.loads((folder / "build" / "report.json").read_text())


def test_definitions_hold(report: dict) -> None:
    cycles, config, memory = report["cycles"], report["config"], report["memory"]
    ideal = -(-report["network"]["macs"] // (config["p_i"] * config["p_o"]))
    assert cycles["ideal"] == ideal
    moved = memory["image_bytes"] + memory["input_bytes"] + memory["output_bytes"]
    assert cycles["roofline"] == max(ideal, -(-moved // memory["bytes_per_cycle"]))
    assert cycles["mac_efficiency"] == pytest.approx(ideal / cycles["predicted"])
    assert cycles["roofline_efficiency"] == pytest.approx(cycles["roofline"] / cycles["predicted"])
    assert report["resources"]["estimated_source"] in render(report)
    assert report["latency_ms"] == pytest.approx(cycles["predicted"] / config["clock_mhz"] / 1e3)
    assert report["throughput_fps"] == pytest.approx(config["clock_mhz"] * 1e6 / cycles["predicted_steady"])


def test_layers_add_up(report: dict) -> None:
    assert sum(row["macs"] for row in report["layers"]) == report["network"]["macs"]
    spans = report["timeline"]["spans"]
    assert sum(row["cycles"] for row in report["layers"]) <= report["timeline"]["cycles"]
    assert len(spans) == sum(row["descriptors"] for row in report["layers"])


def test_html_shows_every_group(report: dict) -> None:
    text = render(report)
    for word in ("Summary", "Accuracy", "Cycles", "Resources", "Why this configuration", "Encryption", "Layers",
                 "Build", "predicted", "estimated", "not run"):
        assert word in text, word
    assert text.count("<svg") == 6
    assert "<script" not in text


HOSTILE = """<script>alert("1")</script>--><!-- & '$\\frac$ ]]>"""


def test_names_are_only_text(report: dict) -> None:
    changed = json.loads(json.dumps(report).replace(json.dumps("conv"), json.dumps(HOSTILE)))
    assert changed["layers"][0]["name"] == HOSTILE
    changed["model"] = changed["board"] = changed["search"]["explanation"] = changed["accuracy"]["note"] = HOSTILE
    text = render(changed)
    assert "<script" not in text.lower()
    assert text.count("&lt;script&gt;") >= 6  # title, heading, accuracy, explanation, table and plot of the layers
    assert text.count("<svg") == 6
    for svg in re.findall(r"<svg.*?</svg>", text, flags=re.S):
        ElementTree.fromstring(svg)


def test_html_is_the_same_every_time(report: dict) -> None:
    assert render(report) == render(report)


def measured(report: dict) -> dict:
    """The report with a made-up breakdown."""
    proven = json.loads(json.dumps(report))
    rng = np.random.default_rng(0)
    names = ("busy", "stall_weights", "stall_act", "stall_new")
    outside = {"cycles": 800, **dict.fromkeys(names, 9)}
    for row in proven["layers"]:
        counts = {name: int(rng.integers(1000, 2000)) for name in names}
        lost = {"idle_inputs": counts["busy"] - row["ideal"], "memory": counts["stall_weights"],
                "stall_act": counts["stall_act"], "stall_new": counts["stall_new"]}
        row["bytes"] = 12345
        one = {"cycles": sum(counts.values()), **counts, "efficiency": 0.5, "lost": lost,
               "stall_other": 0, "beside": 0}
        row["measured"] = {"cold": one, "steady": one}
    total = 1600 + sum(row["measured"]["cold"]["cycles"] for row in proven["layers"])
    frame = {"counters": list(names), "cycles": total, "start": outside, "end": outside}
    proven["breakdown"] = {"cold": frame, "steady": frame}
    return proven


def test_html_shows_where_the_cycles_went(report: dict) -> None:
    assert "Where the cycles went" not in render(report)
    proven = measured(report)
    text = render(proven)
    part = text[text.index("Where the cycles went"):]
    assert text.count("<svg") == 7
    for word in ("First frame, cold", "Following frame", "(start)", "(end)", "stall new"):
        assert word in part, word
    for row in proven["layers"]:
        assert f"{row['measured']['cold']['stall_weights']:,}" in part
    lost = sum(row["measured"]["cold"]["lost"]["memory"] for row in proven["layers"])
    assert f"weights not yet there {lost:,}" in part
    assert part.count("12,345 bytes") == 2 * len(proven["layers"])  # explained, in both frames
    for svg in re.findall(r"<svg.*?</svg>", text, flags=re.S):
        ElementTree.fromstring(svg)


def test_html_of_a_proven_build(report: dict) -> None:
    proven = measured(report)
    proven["source"] = "simulated"
    proven["cycles"] |= {"measured": 1234567, "measured_steady": 1200000, "prediction_error": 0.01,
                         "prediction_error_steady": -0.02}
    proven["verification"] |= {"bit_exact": True, "frames": 2, "elements_compared": 8, "mismatches": 0,
                               "simulator": "Verilator 5.48.0", "seconds": 1.0}
    proven["encryption"]["cycles_added"] = 41
    text = render(proven)
    assert "1,234,567" in text
    assert "bit-exact" in text
    rows = dict(summary_rows(proven, Path("build/x")))
    assert "1,234,567 cold" in rows["cycles"]
    assert rows["proof"].startswith("every output bit equal")


def test_several_engines(report: dict) -> None:
    several = json.loads(json.dumps(report))
    several["config"] |= {"engines": 3, "axi_ports": 1}
    several["cycles"] |= {"predicted_interval": 654321}
    assert "654,321 predicted" in render(several)
    assert "cycles per frame" not in render(report)
    several["cycles"] |= {"measured_interval": 543210.5, "together": {"engines": 3, "frames": 6, "cycles": 3259263}}
    text = render(several)
    assert "3 engines, each" in text
    assert "543,210 cycles per frame" in text
    rows = dict(summary_rows(several, Path("build/x")))
    assert rows["engine"].startswith("3 engines, each ")
    assert rows["engine"].endswith("1 memory port")
    assert "of all engines" in rows["latency"]
    assert "engines" not in dict(summary_rows(report, Path("build/x")))["engine"]


def test_shares(report: dict) -> None:
    resources = report["resources"]
    assert resources["shares"]["dsp"] == resources["estimated"]["dsp"] / resources["available"]["dsp"]


def test_summary_says_when_nothing_was_simulated(report: dict) -> None:
    rows = dict(summary_rows(report, Path("build/x")))
    assert "not simulated" in rows["cycles"]
    assert rows["proof"] == "not run (--no-verify)"


def test_weights_are_disclosed(report: dict) -> None:
    assert report["network"]["weights"] == "user"
    assert dict(summary_rows(report, Path()))["weights"] == "ONNX file small.onnx"
    seeded = {**report, "network": {**report["network"], "weights": "seeded", "weights_origin": "random weights"}}
    assert dict(summary_rows(seeded, Path()))["weights"] == "random weights; accuracies mean nothing"
