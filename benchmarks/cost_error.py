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

from docs_page import write_section
from progress import Steps

from hwgen.config.accelerator import AcceleratorConfig, DspPacking, RamStyle, WindowUnit
from hwgen.config.board import load_board
from hwgen.cost.arrays import ConfigTable
from hwgen.cost.resources import estimate
from hwgen.pipeline.build import build, default_cache
from hwgen.pipeline.request import BuildRequest
from hwgen.pipeline.steps.compile import PROGRAM
from hwgen.pipeline.store import write_json, write_text
from hwgen.report.figures import read_json
from hwgen.resources import models_dir
from hwgen.synth.design import synthesise_design
from rtl_templates.verilog import generate

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "hwgen" / "cost" / "error.json"
TOP = "hwgen_accelerator"
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
#: board, engine: none is among those of ``calibrate.py``, most are of the sizes that the search chooses
RESOURCES = (
    ("zcu104", AcceleratorConfig()),
    ("ultra96v2", AcceleratorConfig(p_i=16, p_o=32, line_columns=2, weight_lines=10240, axi_ports=2,
                                    weight_ram=RamStyle.BLOCK)),
    ("pynq-z2", AcceleratorConfig(p_i=16, p_o=16, line_columns=2, acc_bits=25, weight_lines=12288, act_words=4096,
                                  axi_ports=1, weight_ram=RamStyle.BLOCK)),
    ("zcu104", AcceleratorConfig(p_i=16, p_o=32, line_columns=8, acc_bits=26, acc_depth=1024, act_words=6144,
                                 weight_lines=8192, axi_ports=1, aes_cycles=2, window=WindowUnit.DEPTHWISE)),
    ("zcu104", AcceleratorConfig(p_i=8, p_o=16, line_columns=4, acc_bits=22, acc_depth=256, act_words=16384,
                                 weight_lines=16384, axi_ports=2, act_ram=RamStyle.ULTRA, aes_key_bits=256,
                                 window=WindowUnit.POOL)),
    # the largest of all, and a small one of a family with smaller multipliers
    ("zcu104", AcceleratorConfig(act_words=32768, act_ram=RamStyle.ULTRA, weight_lines=8192, program_words=4096,
                                 window=WindowUnit.DEPTHWISE, window_width=128)),
    ("zcu102", AcceleratorConfig(p_i=64, p_o=64, line_columns=2, act_words=4096, weight_lines=8192,
                                 weight_ram=RamStyle.BLOCK)),
    ("zcu104", AcceleratorConfig(p_i=32, p_o=32, acc_depth=2048, act_words=4096, weight_lines=16384, axi_ports=1,
                                 aes_cycles=3, window=WindowUnit.POOL, window_kernel=2)),
    ("pynq-z2", AcceleratorConfig(p_i=8, p_o=16, acc_bits=25, acc_depth=256, act_words=2048, weight_lines=4096,
                                  axi_ports=2, aes_cycles=5, weight_ram=RamStyle.BLOCK, window=WindowUnit.DEPTHWISE,
                                  window_width=64)),
)
RESOURCE_NAMES = {"lut": "LUT", "ff": "FF", "dsp": "DSP", "bram36": "BRAM36", "uram": "URAM"}


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
                   Steps())
    assert report is not None
    cycles, chosen, config = report["cycles"], report["search"]["front"][0], report["config"]
    program = read_json(out / row.name / "compile" / PROGRAM)
    return {
        "name": row.name, "network": row.network, "board": row.board, "input": row.size or None,
        "array": f"{config['p_i']}x{config['p_o']}", "window": config["window"],
        "strips": bool(program["spilled_bytes"]), "cold": cycles["measured"], "steady": cycles["measured_steady"],
        "bit_exact": report["verification"]["bit_exact"],
        "error_cold": cycles["prediction_error"], "error_steady": cycles["prediction_error_steady"],
        "search_error_cold": chosen["model_cold_cycles"] / cycles["measured"] - 1,
        "search_error_steady": chosen["model_steady_cycles"] / cycles["measured_steady"] - 1,
    }


def resource_name(board: str, config: AcceleratorConfig) -> str:
    """Names a row."""
    return (f"{board}: {config.p_i}x{config.p_o}, {config.line_columns} columns a line, {config.acc_bits} bit, "
            f"{config.axi_ports} ports, AES-{config.aes_key_bits} in {config.aes_cycles}, window unit {config.window}")


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
        "name": resource_name(board_name, config), "board": board.name, "family": board.family,
        "array": f"{config.p_i}x{config.p_o}", "config": config.to_dict(), "synthesised": raw, "estimated": estimated,
        "absorbable": {"synthesised": report.absorbable.to_dict(), "estimated": found.absorbable(0).to_dict()},
        "levels": report.levels, "error": errors, "worst": max(errors.values(), key=abs),
    }


def resource_table(rows: list[dict[str, Any]]) -> str:
    """Markdown of the resources' errors, the worst row last: estimated / synthesised (error)."""
    titles = ("configuration", "family", *RESOURCE_NAMES.values(), "worst")
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    for row in sorted(rows, key=lambda r: abs(r["worst"])):
        pairs = {n: tuple(f"{row[kind][n]:,.1f}".removesuffix(".0") for kind in ("estimated", "synthesised"))
                 for n in RESOURCE_NAMES}
        cells = [f"{' / '.join(pairs[n])} ({row['error'][n]:+.1%})" if n in row["error"] else "–"
                 for n in RESOURCE_NAMES]
        lines.append(f"| {row['name']} | {row['family']} | {' | '.join(cells)} | {row['worst']:+.1%} |")
    return "\n".join(lines)


def table(found: dict[str, Any]) -> str:
    """Markdown of the cycles' errors."""
    titles = ("network", "board", "array", "window unit", "feature maps", "cold", "steady", "program, cold",
              "program, steady", "ranking, cold", "ranking, steady", "bit-exact")
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
    order = {"cycles": [row.name for row in CYCLES], "resources": [resource_name(*row) for row in RESOURCES]}
    for kind, names in order.items():
        rows = {row["name"]: row for row in (*known.get(kind, ()), *new.get(kind, ())) if "name" in row}
        known[kind] = [rows[name] for name in names if name in rows]
    for key in KEYS:
        known[f"worst_{key}"] = max((row[key] for row in known["cycles"]), key=abs, default=0.0)
    known["worst_resources"] = {name: max((row["error"].get(name, 0.0) for row in known["resources"]), key=abs,
                                          default=0.0) for name in RESOURCE_NAMES}
    write_json(TARGET, known)
    write_section("cost", table(known))
    write_section("resources", resource_table(known["resources"]))


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
    wanted = [part for part in arguments.only.split(",") if part]
    known = json.loads(TARGET.read_text(encoding="utf-8")) if TARGET.is_file() else {}

    def asked(kind: str, name: str) -> bool:
        done = arguments.missing and name in {row.get("name") for row in known.get(kind, ())}
        return not done and (not wanted or any(part in name for part in wanted))

    if arguments.cycles:
        for row in CYCLES:
            if asked("cycles", row.name):
                found = cycle_error(row, arguments.out)
                print(json.dumps(found), flush=True)
                if arguments.write:
                    store({"cycles": [found]})
    if arguments.resources:
        rows = []
        for board, config in RESOURCES:
            if asked("resources", resource_name(board, config)):
                print(resource_name(board, config), flush=True)
                rows.append(resource_error(board, config))
                if arguments.write:
                    store({"resources": [rows[-1]]})
        print(resource_table(rows))


if __name__ == "__main__":
    main()
