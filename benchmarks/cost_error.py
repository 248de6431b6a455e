"""Measures the cost model's errors on networks, boards and configurations that no constant was fitted to.

    python benchmarks/cost_error.py [--cycles] [--resources] [--only resnet20,kv260] [--missing] [--out DIR] [--write]

Cycles: predicted by the compiled program's timeline and by the search's analytic model, against the hardware's counters
in simulation. Resources: formulas against Yosys. ``--only`` takes parts of rows' names, ``--missing`` leaves out what
has a row. ``--write`` stores hwgen/cost/error.json, which every report quotes, after every row, and updates
docs/benchmarks.md from it: an interrupted series keeps what it has measured, rows that are not asked for stay.

The constants of the timeline (hwgen/cost/constants.py) were read off the hardware's state machines and checked against
traces of small random networks on 8x16 and 16x32 engines, feature maps in strips; those of the analytic model
(hwgen/cost/strips.py, beside.py) were chosen by hand so that it agrees with the timeline on resnet18_224, vgg16 and
mobilenetv2 with activation memories of several sizes that are not those of the table. So none of these runs is in the
table, but two of the networks are.
"""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calibrate import SMALL, measured, synthesise
from docs_page import write_section

from hwgen.config.accelerator import AcceleratorConfig, Crypto, DspPacking, WindowUnit
from hwgen.config.board import load_board
from hwgen.cost.arrays import ConfigTable
from hwgen.cost.resources import estimate
from hwgen.pipeline.build import build
from hwgen.pipeline.request import BuildRequest
from hwgen.pipeline.steps.compile import PROGRAM
from hwgen.pipeline.store import write_json, write_text
from hwgen.report.figures import read_json
from hwgen.resources import models_dir

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "hwgen" / "cost" / "error.json"
_SMALL = AcceleratorConfig(p_i=8, p_o=16, acc_depth=256, act_words=2048, weight_lines=2048, axi_ports=2,
                           program_words=8192)
ENGINES = {
    "16x32": AcceleratorConfig(p_i=16, p_o=32, acc_depth=512, act_words=16384, weight_lines=16384, axi_ports=2),
    "16x16": AcceleratorConfig(p_i=16, p_o=16, acc_depth=256, act_words=16384, weight_lines=4096, axi_ports=1),
    # feature maps in strips: of CIFAR networks, too, most do not fit
    "8x16 small": _SMALL,
    "16x16 small": AcceleratorConfig(p_i=16, p_o=16, acc_depth=256, act_words=512, weight_lines=4096, axi_ports=1,
                                     program_words=8192, packing=DspPacking.DSP48E1),
    # the window unit, with all feature maps on the chip and in strips
    "16x32 window": AcceleratorConfig(p_i=16, p_o=32, acc_depth=512, act_words=8192, weight_lines=16384, axi_ports=3,
                                      program_words=8192, window=WindowUnit.DEPTHWISE, window_width=64),
    "8x16 window": _SMALL.replace(window=WindowUnit.DEPTHWISE, window_width=64),
}


@dataclass(frozen=True)
class Row:
    """A network (``size``: of its input, where it is not the recipe's), a board and an engine ("": the search's)."""

    network: str
    board: str
    engine: str = ""
    size: int = 0

    @property
    def name(self) -> str:
        """Names the row and its build; the search's engines are built where ``benchmarks/engine.py`` builds them."""
        size = str(self.size) if self.size else ""
        return f"{self.network}{size}-{self.board}" + (f"-{self.engine.replace(' ', '-')}" if self.engine else "")


CYCLES = (
    Row("resnet20", "zcu104", "16x32"), Row("aconvnet", "zcu104", "16x32"), Row("resnet18_tt", "zcu104", "16x32"),
    Row("resnet20", "zcu104", "16x16"), Row("resnet20", "zcu104"), Row("aconvnet", "zcu104"), Row("resnet18", "zcu104"),
    Row("vgg16_tt", "zcu104"), Row("resnet8", "zcu104", "8x16 small"), Row("resnet20", "zcu104", "8x16 small"),
    Row("resnet8", "pynq-z2", "16x16 small"), Row("resnet20", "pynq-z2", "16x16 small"), Row("resnet50", "zcu104"),
    Row("resnet18_224", "kv260"), Row("resnet18_224", "ultra96v2"), Row("resnet18_224", "pynq-z2"),
    Row("mobilenetv2", "zcu104", "16x32 window", 64), Row("mobilenetv2", "zcu104", "8x16 window", 64),
    Row("mobilenetv2", "zcu104"),
)
KEYS = ("error_cold", "error_steady", "search_error_cold", "search_error_steady")
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


def cycle_error(row: Row, out: Path) -> dict[str, Any]:
    """One whole build with its proof."""
    out.mkdir(parents=True, exist_ok=True)
    model, path = row.network, None
    if row.size:
        recipe = (models_dir() / f"{row.network}.toml").read_text(encoding="utf-8")
        changed = re.sub(r"shape = \[3, \d+, \d+\]", f"shape = [3, {row.size}, {row.size}]", recipe)
        model = str(out / f"{row.network}_{row.size}.toml")
        write_text(Path(model), changed.replace(f'name = "{row.network}"', f'name = "{row.network}_{row.size}"'))
    if row.engine:
        path = out / f"{row.name}.json"
        write_json(path, ENGINES[row.engine].to_dict())
    report = build(BuildRequest(model=model, board=row.board, out=out / row.name, config=path, measure_crypto=False),
                   _Quiet())
    assert report is not None
    cycles, chosen, config = report["cycles"], report["search"]["front"][0], report["config"]
    program = read_json(out / row.name / "compile" / PROGRAM)
    return {
        "name": row.name, "network": row.network, "board": row.board, "input": row.size or None,
        "array": f"{config['p_i']}x{config['p_o']}", "window": config["window"],
        "strips": bool(program["spilled_bytes"]), "cold": cycles["measured"], "steady": cycles["measured_steady"],
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
    titles = ("network", "board", "array", "window unit", "feature maps", "cold", "steady", "program, cold",
              "program, steady", "search, cold", "search, steady", "bit-exact")
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    for row in found["cycles"]:
        errors = " | ".join(f"{row[key]:+.2%}" for key in KEYS)
        size = f", {row['input']}²" if row["input"] else ""
        lines.append(
            f"| {row['network']}{size} | {row['board']} | {row['array']} | {row['window']} | "
            f"{'strips' if row['strips'] else 'chip'} | {row['cold']:,} | {row['steady']:,} | {errors} | "
            f"{'yes' if row['bit_exact'] else 'NO'} |")
    worst = " | ".join(f"{found[f'worst_{key}']:+.2%}" for key in KEYS)
    return "\n".join([*lines, f"| worst | | | | | | | {worst} | |"])


def store(new: dict[str, Any]) -> None:
    """Put new rows among those that are known, in the order of ``CYCLES``, and the tables into the documentation."""
    known = json.loads(TARGET.read_text(encoding="utf-8")) if TARGET.is_file() else {}
    rows = {row["name"]: row for row in (*known.get("cycles", ()), *new.pop("cycles", ())) if "name" in row}
    known |= new | {"cycles": [rows[row.name] for row in CYCLES if row.name in rows]}
    for key in KEYS:
        known[f"worst_{key}"] = max((row[key] for row in known["cycles"]), key=abs, default=0.0)
    write_json(TARGET, known)
    write_section("cost", table(known))


def main() -> None:
    """Measure, print, and with ``--write`` store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", action="store_true")
    parser.add_argument("--resources", action="store_true")
    parser.add_argument("--out", type=Path, default=ROOT / "build")
    parser.add_argument("--only", default="", help="parts of names of rows, separated by commas")
    parser.add_argument("--missing", action="store_true")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    if arguments.cycles:
        wanted = [part for part in arguments.only.split(",") if part]
        known = json.loads(TARGET.read_text(encoding="utf-8"))["cycles"] if TARGET.is_file() else []
        done = {row.get("name") for row in known} if arguments.missing else set()
        for row in CYCLES:
            if row.name not in done and (not wanted or any(part in row.name for part in wanted)):
                found = cycle_error(row, arguments.out)
                print(json.dumps(found), flush=True)
                if arguments.write:
                    store({"cycles": [found]})
    if arguments.resources:
        resources = []
        for config in RESOURCES:
            resources.append(resource_error(config))
            print(json.dumps(resources[-1]), flush=True)
        if arguments.write:
            store({"resources": resources})


if __name__ == "__main__":
    main()
