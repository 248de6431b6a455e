"""Measures the cost model's errors on networks and configurations that no constant was fitted to.

    python benchmarks/cost_error.py [--cycles] [--resources] [--out FOLDER] [--write]

Cycles: predicted by the compiled program's timeline and by the search's analytic model, against the hardware's counters
in simulation. Resources: formulas against Yosys. ``--write`` stores hwgen/cost/error.json, which every report quotes,
and updates docs/benchmarks.md from it.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from calibrate import SMALL, measured, synthesise
from docs_page import write_section

from hwgen.config.accelerator import AcceleratorConfig, Crypto
from hwgen.config.board import load_board
from hwgen.cost.arrays import ConfigTable
from hwgen.cost.resources import estimate
from hwgen.pipeline.build import build
from hwgen.pipeline.request import BuildRequest
from hwgen.pipeline.store import write_json

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "hwgen" / "cost" / "error.json"
MIDDLE = AcceleratorConfig(p_i=16, p_o=32, acc_depth=512, act_words=16384, weight_lines=16384, axi_ports=2)
NARROW = AcceleratorConfig(p_i=16, p_o=16, acc_depth=256, act_words=16384, weight_lines=4096, axi_ports=1)
#: network, board, configuration (None: the search's); the constants were fitted to resnet18_tt on the 32 x 64 engine
CYCLES: tuple[tuple[str, str, AcceleratorConfig | None], ...] = (
    ("resnet20", "zcu104", MIDDLE),
    ("aconvnet", "zcu104", MIDDLE),
    ("resnet18_tt", "zcu104", MIDDLE),
    ("resnet20", "zcu104", NARROW),
    ("resnet20", "zcu104", None),
    ("aconvnet", "zcu104", None),
    ("resnet18", "zcu104", None),
)
RESOURCES = (
    SMALL.replace(p_i=16, p_o=16, line_columns=8, axi_ports=3, act_words=4096, acc_depth=512),
    SMALL.replace(p_i=32, p_o=64, line_columns=2, axi_ports=4, act_words=2048, weight_lines=4096),
    SMALL.replace(p_i=8, p_o=16, line_columns=8, axi_ports=2, crypto=Crypto.GCM),
    AcceleratorConfig(),
)


class _Quiet:
    def event(self, event: object) -> None:
        del event

    def detail(self, text: str) -> None:
        del text


def cycle_error(network: str, board: str, config: AcceleratorConfig | None, out: Path) -> dict[str, Any]:
    """One whole build with its proof."""
    name = f"{network}-{board}" + (f"-{config.p_i}x{config.p_o}" if config else "")
    path = None
    if config is not None:
        out.mkdir(parents=True, exist_ok=True)
        path = out / f"{name}.json"
        write_json(path, config.to_dict())
    request = BuildRequest(model=network, board=board, out=out / name, config=path, measure_crypto=False)
    report = build(request, _Quiet())
    assert report is not None
    cycles, chosen = report["cycles"], report["search"]["front"][0]
    return {
        "network": network, "array": f"{report['config']['p_i']}x{report['config']['p_o']}",
        "cold": cycles["measured"], "steady": cycles["measured_steady"],
        "bit_exact": report["verification"]["bit_exact"],
        "error_cold": cycles["prediction_error"], "error_steady": cycles["prediction_error_steady"],
        "search_error_cold": chosen["cold_cycles"] / cycles["measured"] - 1,
        "search_error_steady": chosen["steady_cycles"] / cycles["measured_steady"] - 1,
    }


def resource_error(config: AcceleratorConfig) -> dict[str, Any]:
    """One synthesis."""
    report = synthesise(config, "xcup")
    found = estimate(ConfigTable.of([config]), load_board("zcu104"), crypto=config.crypto is Crypto.GCM).row(0)
    return {
        "array": f"{config.p_i}x{config.p_o}", "ports": config.axi_ports, "crypto": config.crypto.value,
        "synthesised": {**report.raw.to_dict(), **measured(report)}, "estimated": found.to_dict(),
        "error": {k: v / getattr(report.raw, k) - 1 for k, v in found.to_dict().items() if getattr(report.raw, k)},
    }


def table(found: dict[str, Any]) -> str:
    """Markdown of the cycles' errors."""
    keys = ("error_cold", "error_steady", "search_error_cold", "search_error_steady")
    titles = ("network", "array", "cold", "steady", "program, cold", "program, steady", "search, cold",
              "search, steady", "bit-exact")
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    for row in found["cycles"]:
        errors = " | ".join(f"{row[key]:+.2%}" for key in keys)
        lines.append(f"| {row['network']} | {row['array']} | {row['cold']:,} | {row['steady']:,} | {errors} | "
                     f"{'yes' if row['bit_exact'] else 'NO'} |")
    worst = " | ".join(f"{found[f'worst_{key}']:+.2%}" for key in keys)
    return "\n".join([*lines, f"| worst | | | | {worst} | |"])


def main() -> None:
    """Measure, print, and with ``--write`` store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", action="store_true")
    parser.add_argument("--resources", action="store_true")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "cost_error")
    parser.add_argument("--only", default="", help="networks, separated by commas")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    found: dict[str, Any] = {}
    if arguments.cycles:
        runs = [run for run in CYCLES if not arguments.only or run[0] in arguments.only.split(",")]
        found["cycles"] = []
        for run in runs:
            found["cycles"].append(cycle_error(*run, arguments.out))
            print(json.dumps(found["cycles"][-1]), flush=True)
        for key in ("error_cold", "error_steady", "search_error_cold", "search_error_steady"):
            found[f"worst_{key}"] = max((row[key] for row in found["cycles"]), key=abs)
    if arguments.resources:
        found["resources"] = []
        for config in RESOURCES:
            found["resources"].append(resource_error(config))
            print(json.dumps(found["resources"][-1]), flush=True)
    print(json.dumps({k: v for k, v in found.items() if k.startswith("worst")}))
    if arguments.write:
        known = json.loads(TARGET.read_text(encoding="utf-8")) if TARGET.is_file() else {}
        write_json(TARGET, known | found)
        write_section("cost", table(known | found))


if __name__ == "__main__":
    main()
