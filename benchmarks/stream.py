"""Builds and proves streaming pipelines and publishes their figures: docs/benchmarks.md, docs/results/stream.json.

    python benchmarks/stream.py [--only resnet8:kv260] [--out FOLDER] [--write]

Every run is a whole build (``hwgen build --style stream``): folding, quantisation, encrypted image, proof of four
frames alone and of a batch close behind one another, in simulation with the board's memory. Networks without a shipped
checkpoint run with seeded weights. ``--write`` updates the files in docs/ after every run; runs that are not asked for
keep their rows.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from docs_page import ROOT, write_section
from progress import Steps

from hwgen.config.pipeline import PipelineConfig
from hwgen.errors import HwgenError
from hwgen.pipeline.build import build
from hwgen.pipeline.request import BuildRequest
from hwgen.pipeline.store import write_json

#: network, board
RUNS = (("resnet8", "kv260"), ("resnet8", "zcu104"), ("resnet20", "zcu104"), ("aconvnet", "zcu104"))
ROWS = ROOT / "docs" / "results" / "stream.json"
#: clock at which frame rates are published besides the board's own
CLOCK_MHZ = 250.0
#: interval over ideal that must, and that should, be reached
MUST, AIM = 0.05, 0.02
FRAMES = 4


def row(report: dict[str, Any]) -> dict[str, Any]:
    """One row of docs/results/stream.json, from the report of a proven build."""
    config, cycles, proof = report["config"], report["cycles"], report["verification"]
    pipeline, batch = PipelineConfig.from_dict(config["pipeline"]), cycles["batch"]
    ideal, interval = pipeline.slowest.frame_steps, batch["interval"]
    return {
        "network": report["model"], "board": report["board"], "style": "stream", "stages": len(pipeline.stages),
        "macs": report["network"]["macs"], "macs_per_cycle": pipeline.macs_per_cycle, "clock_mhz": config["clock_mhz"],
        "ideal_interval": ideal, "interval": interval, "above_ideal": interval / ideal - 1,
        "predicted_interval": cycles["predicted_interval"],
        "fps": config["clock_mhz"] * 1e6 / interval, "fps_250_mhz": CLOCK_MHZ * 1e6 / interval,
        "cycles_cold": cycles["measured"], "cycles_steady": cycles["measured_steady"],
        "predicted_cold": cycles["predicted"], "predicted_steady": cycles["predicted_steady"],
        "resources": report["resources"]["estimated"], "batch_frames": batch["frames"],
        "bit_exact": proof["bit_exact"], "frames": proof["frames"], "elements_compared": proof["elements_compared"],
        "weights": report["network"]["weights"],
    }


def table(rows: list[dict[str, Any]]) -> str:
    """The table of docs/benchmarks.md."""
    head = ("network", "board", "stages", "MACs a cycle", "interval, ideal", "interval, measured", "above", "met",
            "frames/s at 250 MHz", "frames/s at the board's clock", "alone", "predicted", "cold", "DSP",
            "LUT (estimated)", "bit-exact")
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for r in rows:
        met = "aim" if r["above_ideal"] <= AIM else "must" if r["above_ideal"] <= MUST else "no"
        lines.append("| " + " | ".join((
            r["network"], r["board"], str(r["stages"]), f"{r['macs_per_cycle']:,}", f"{r['ideal_interval']:,}",
            f"{r['interval']:,}", f"{100 * r['above_ideal']:+.2f}%", met, f"{r['fps_250_mhz']:,.0f}",
            f"{r['fps']:,.0f} ({r['clock_mhz']:g} MHz)", f"{r['cycles_steady']:,}", f"{r['predicted_steady']:,}",
            f"{r['cycles_cold']:,}", f"{r['resources']['dsp']:,.0f}", f"{r['resources']['lut']:,.0f}",
            f"{r['frames']} of {r['frames']}" if r["bit_exact"] else "no")) + " |")
    return "\n".join(lines)


def known_rows(path: Path = ROWS) -> dict[tuple[str, str], dict[str, Any]]:
    """(network, board) -> row, as last written."""
    values = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    return {(r["network"], r["board"]): r for r in values}


def main() -> None:
    """Run, print, and with ``--write`` update docs/."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "build")
    parser.add_argument("--only", default="")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    wanted = set(arguments.only.split(",")) if arguments.only else set()
    names = {"none"} | {f"{network}:{board}" for network, board in RUNS}
    if wanted - names:
        raise SystemExit(f"no such run: {', '.join(sorted(wanted - names))}; there are {', '.join(sorted(names))}")
    known, failed = known_rows(), []
    for network, board in RUNS:
        if wanted and f"{network}:{board}" not in wanted:
            continue
        print(f"{network} on {board}", flush=True)
        folder = arguments.out / f"{network}-{board}-stream"
        try:
            report = build(BuildRequest(model=network, board=board, out=folder, style="stream", frames=FRAMES,
                                        objective="throughput", measure_crypto=False), Steps())
        except HwgenError as error:
            failed.append(f"{network} on {board}: {error}")
            continue
        assert report is not None
        known[network, board] = row(report)
        if arguments.write:
            write_json(ROWS, [known[run] for run in RUNS if run in known])
            write_section("stream", table([known[run] for run in RUNS if run in known]))
    print(table([known[run] for run in RUNS if run in known]))
    if failed:
        raise SystemExit("\n".join(("not measured:", *failed)))


if __name__ == "__main__":
    main()
