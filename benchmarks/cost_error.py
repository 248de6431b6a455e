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

from docs_page import write_section

from hwgen.config.accelerator import AcceleratorConfig, RamStyle
from hwgen.config.board import load_board
from hwgen.cost.arrays import ConfigTable
from hwgen.cost.resources import estimate
from hwgen.pipeline.build import build, default_cache
from hwgen.pipeline.request import BuildRequest
from hwgen.pipeline.store import write_json
from hwgen.synth.design import synthesise_design
from rtl_templates.verilog import generate

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "hwgen" / "cost" / "error.json"
TOP = "hwgen_accelerator"
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
_BLOCK = {"weight_ram": RamStyle.BLOCK, "act_ram": RamStyle.BLOCK}
#: board, configuration: none is among those of ``calibrate.py``
RESOURCES = (
    ("zcu104", AcceleratorConfig()),  # the search's winner for resnet18_tt, with a third port
    ("ultra96v2", AcceleratorConfig(p_i=16, p_o=32, line_columns=2, weight_lines=10240, act_words=8192, axi_ports=2,
                                    **_BLOCK)),  # as the search's winner for resnet18_tt
    ("zcu104", AcceleratorConfig(p_i=8, p_o=16, line_columns=4, acc_bits=22, acc_depth=256, act_words=16384,
                                 weight_lines=16384, axi_ports=3, act_ram=RamStyle.ULTRA)),
    ("zcu104", AcceleratorConfig(p_i=16, p_o=32, line_columns=8, acc_bits=29, acc_depth=1024, act_words=4096,
                                 weight_lines=8192, axi_ports=1, aes_key_bits=256)),
    ("pynq-z2", AcceleratorConfig(p_i=16, p_o=16, line_columns=2, weight_lines=12288, act_words=4096, axi_ports=1,
                                  **_BLOCK)),  # as the search's winner for resnet18_tt
    ("pynq-z2", AcceleratorConfig(p_i=8, p_o=16, line_columns=4, acc_bits=25, acc_depth=256, act_words=2048,
                                  weight_lines=2048, axi_ports=2, **_BLOCK)),
)
RESOURCE_NAMES = {"lut": "LUT", "ff": "FF", "dsp": "DSP", "bram36": "BRAM36", "uram": "URAM"}


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


def resource_error(board_name: str, config: AcceleratorConfig) -> dict[str, Any]:
    """One synthesis."""
    board = load_board(board_name)
    config = config.replace(packing=board.packing)
    report = synthesise_design(generate(config, TOP), TOP, board.family, cache=default_cache(),
                               progress=lambda text: print("    ", text, flush=True))
    found = estimate(ConfigTable.of([config]), board, key_bits=config.aes_key_bits)
    estimated, raw = found.row(0).to_dict(), report.raw.to_dict()
    errors = {name: estimated[name] / raw[name] - 1 for name in RESOURCE_NAMES if raw[name]}
    return {
        "board": board.name, "family": board.family, "array": f"{config.p_i}x{config.p_o}",
        "config": config.to_dict(), "synthesised": raw, "estimated": estimated, "error": errors,
        "absorbable": {"synthesised": report.absorbable.to_dict(), "estimated": found.absorbable(0).to_dict()},
        "worst": max(errors.values(), key=abs),
    }


def resource_table(rows: list[dict[str, Any]]) -> str:
    """Markdown of the resources' errors, the worst row last: estimated / Yosys (error)."""
    titles = ("configuration", "board", "family", *RESOURCE_NAMES.values(), "worst")
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    for row in sorted(rows, key=lambda r: abs(r["worst"])):
        config = row["config"]
        cells = [f"{row['estimated'][n]:,g} / {row['synthesised'][n]:,g} ({row['error'][n]:+.1%})"
                 if n in row["error"] else f"{row['estimated'][n]:g} / 0" for n in RESOURCE_NAMES]
        lines.append(f"| {row['array']}, {config['line_columns']} columns a line, {config['acc_bits']} bit, "
                     f"{config['axi_ports']} ports, AES-{config['aes_key_bits']} | {row['board']} | {row['family']} | "
                     f"{' | '.join(cells)} | {row['worst']:+.1%} |")
    return "\n".join(lines)


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
    parser.add_argument("--only", default="", help="networks or boards, separated by commas")
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
        for board, config in RESOURCES:
            if arguments.only and board not in arguments.only.split(","):
                continue
            found["resources"].append(resource_error(board, config))
        found["worst_resources"] = {
            name: max((row["error"].get(name, 0.0) for row in found["resources"]), key=abs) for name in RESOURCE_NAMES}
        print(resource_table(found["resources"]))
    print(json.dumps({k: v for k, v in found.items() if k.startswith("worst")}))
    if arguments.write:
        known = json.loads(TARGET.read_text(encoding="utf-8")) if TARGET.is_file() else {}
        write_json(TARGET, known | found)
        if "cycles" in found:
            write_section("cost", table(known | found))
        if "resources" in found:
            write_section("resources", resource_table(found["resources"]))


if __name__ == "__main__":
    main()
