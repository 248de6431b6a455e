"""Builds and proves networks of the zoo and prints the table of cycles: docs/benchmarks.md, docs/results/main.json.

    python benchmarks/figures.py [--out FOLDER] [--only resnet18_tt,resnet20] [--write]

Every row is a whole build: search, quantisation, encrypted image, proof of two frames in simulation with the board's
memory, and the same engine without the crypto unit. Networks without a shipped checkpoint run with seeded weights.
``--write`` updates the two files in docs/; rows that were not measured this time stay.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from docs_page import write_section

from hwgen.pipeline.build import build
from hwgen.pipeline.request import BuildRequest
from hwgen.pipeline.runner import StepEvent
from hwgen.zoo.recipe import load_recipe

ROOT = Path(__file__).resolve().parent.parent
#: network, board
RUNS = (("resnet18", "zcu104"), ("resnet18_tt", "zcu104"), ("resnet20", "zcu104"), ("aconvnet", "zcu104"),
        ("resnet18_224", "zcu104"))
COLUMNS = ("network", "board", "MACs", "predicted", "cold", "steady", "MAC eff. cold", "MAC eff. steady",
           "roofline eff. cold", "error cold", "crypto adds", "bit-exact")


class _Quiet:
    def event(self, event: StepEvent) -> None:
        if event.state != "running":
            print("   ", event.step.name, event.state, f"{event.seconds:.1f} s", flush=True)

    def detail(self, text: str) -> None:
        del text


def measure(network: str, board: str, out: Path) -> dict[str, Any]:
    """One row of docs/results/main.json."""
    request = BuildRequest(model=network, board=board, out=out / f"{network}-{board}")
    report = build(request, _Quiet())
    assert report is not None
    cycles, proof = report["cycles"], report["verification"]
    return {
        "network": network, "input": "x".join(str(n) for n in load_recipe(network).input.shape[1:]), "board": board,
        "style": "engine",
        "config": report["config"], "macs": report["network"]["macs"],
        "parameters": report["network"]["parameters"],
        "predicted_cycles": cycles["predicted"], "cycles_cold": cycles["measured"],
        "predicted_cycles_steady": cycles["predicted_steady"], "cycles_steady": cycles["measured_steady"],
        "mac_efficiency_cold": cycles["mac_efficiency"], "mac_efficiency_steady": cycles["mac_efficiency_steady"],
        "roofline_efficiency_cold": cycles["roofline_efficiency"], "prediction_error_cold": cycles["prediction_error"],
        "prediction_error_steady": cycles["prediction_error_steady"],
        "crypto_cycles_added": report["encryption"]["cycles_added"],
        "bit_exact": proof["bit_exact"], "frames": proof["frames"], "elements_compared": proof["elements_compared"],
        "seconds": proof["seconds"],
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    for r in rows:
        added = r["crypto_cycles_added"]
        lines.append("| " + " | ".join((
            r["network"], r["board"], f"{r['macs'] / 1e6:.1f} M", f"{r['predicted_cycles']:,.0f}",
            f"{r['cycles_cold']:,}", f"{r['cycles_steady']:,}", f"{r['mac_efficiency_cold']:.1%}",
            f"{r['mac_efficiency_steady']:.1%}", f"{r['roofline_efficiency_cold']:.1%}",
            f"{r['prediction_error_cold']:+.2%}",
            "–" if added is None else f"{added:+,} ({added / (r['cycles_cold'] - added):+.2%})",
            f"{r['frames']} of {r['frames']}" if r["bit_exact"] else "NO")) + " |")
    by_name = {r["network"]: r for r in rows}
    if {"resnet18", "resnet18_tt"} <= set(by_name):
        dense, tt = by_name["resnet18"], by_name["resnet18_tt"]
        speed_up, ratio = dense["cycles_cold"] / tt["cycles_cold"], dense["macs"] / tt["macs"]
        lines += ["", f"Speed-up of resnet18_tt over resnet18, cold: {speed_up:.2f}× at a MAC ratio of {ratio:.2f}×: "
                      f"{speed_up / ratio:.2f} of it."]
    return "\n".join(lines)


def main() -> None:
    """Run, print, and with ``--write`` update docs/."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "build")
    parser.add_argument("--only", default="")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    wanted = set(arguments.only.split(",")) if arguments.only else None
    rows = []
    for network, board in RUNS:
        if wanted is None or network in wanted:
            print(f"{network} on {board}", flush=True)
            rows.append(measure(network, board, arguments.out))
    print(table(rows))
    if arguments.write:
        results = ROOT / "docs" / "results" / "main.json"
        results.parent.mkdir(exist_ok=True)
        known = json.loads(results.read_text(encoding="utf-8")) if results.is_file() else []
        found = {(r["network"], r["board"]): r for r in (*known, *rows)}
        rows = [found[run] for run in RUNS if run in found]
        results.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
        write_section("figures", table(rows))


if __name__ == "__main__":
    main()
