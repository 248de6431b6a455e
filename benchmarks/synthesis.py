"""Synthesises every module of a configuration with Yosys and prints resources, logic levels and MACs per DSP.

    python benchmarks/synthesis.py [--config FILE.json] [--board zcu104] [--write]

Raw counts are Yosys's; the numbers in brackets could be absorbed by DSP slices (cascade adders, product registers),
which Yosys does not do and Vivado does. Levels: longest path between registers, in LUTs and carry cells; its time
follows from the delays that the board's file assumes. The default configuration is also set beside AMD's DPU.
``--write`` (for the default configuration) updates docs/benchmarks.md and docs/results/synthesis.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from docs_page import write_section
from dpu import comparison

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.config.board import Board, load_board
from hwgen.config.system import SystemConfig
from hwgen.cost.arrays import ConfigTable
from hwgen.cost.resources import estimate
from hwgen.pipeline.build import default_cache
from hwgen.synth.clock import path_ns, worst_path
from hwgen.synth.design import DesignReport, synthesise_design
from rtl_templates.verilog import generate

ROOT = Path(__file__).resolve().parent.parent
TOP = "hwgen_accelerator"
TITLES = {"lut": "LUT", "ff": "FF", "dsp": "DSP", "bram36": "BRAM36", "uram": "URAM"}


def table(report: DesignReport, config: SystemConfig, board: Board) -> str:
    """Markdown."""
    lines = ["| module | placed | LUT | FF | DSP | BRAM36 | URAM | levels | path, ns |", "|" + "---|" * 9]
    array_dsp = 0.0
    for module, count in sorted(report.parts, key=lambda part: -part[0].lut * part[1]):
        lines.append(f"| `{module.name}` | {count} | {module.lut:,.0f} ({module.absorbable_lut:,.0f}) "
                     f"| {module.ff:,.0f} ({module.absorbable_ff:,.0f}) | {module.dsp:.0f} | {module.bram36:g} "
                     f"| {module.uram:.0f} | {module.levels} | {path_ns(module, board.timing):.2f} |")
        if "column_group" in module.name:
            array_dsp += module.dsp * count
    raw, absorbed = report.raw, report.absorbable
    lines += [
        "", f"Whole design: {raw.lut:,.0f} LUT ({absorbed.lut:,.0f} absorbable), {raw.ff:,.0f} FF ({absorbed.ff:,.0f} "
        f"absorbable), {raw.dsp:.0f} DSP, {raw.bram36:g} BRAM36, {raw.uram:.0f} URAM; deepest path {report.levels} "
        "levels.",
        f"MACs per DSP: array {config.macs_per_cycle / array_dsp:.2f}, "
        f"whole design {config.macs_per_cycle / raw.dsp:.2f}.",
        clock(report, board),
    ]
    estimated = estimate(ConfigTable.of([config]), board, key_bits=config.engine.aes_key_bits).row(0).to_dict()
    errors = [f"{estimated[name]:,.0f} {title} ({estimated[name] / getattr(raw, name) - 1:+.1%})"
              for name, title in TITLES.items() if getattr(raw, name)]
    lines.append(f"Estimated by the cost model for {board.name}: {', '.join(errors)}.")
    return "\n".join(lines)


def clock(report: DesignReport, board: Board) -> str:
    """The clock that the longest path supports."""
    name, worst = worst_path(report, board.timing)
    timing = board.timing
    return (f"Clock: {board.name} runs at {board.clock_mhz:g} MHz = {1e3 / board.clock_mhz:.2f} ns. The worst path, in "
            f"`{name}`, is estimated at {worst:.2f} ns, good for {1e3 / worst:.0f} MHz, with {timing.level_ns:g} ns a "
            f"level, {timing.register_ns:g} ns for registers and {timing.memory_ns:g} ns for the output of a memory "
            f"block ({board.sources['timing']}).")


def main() -> None:
    """Synthesise, print, and with ``--write`` update docs/."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--board", default="zcu104")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    board = load_board(arguments.board)
    config = SystemConfig(engine=AcceleratorConfig(packing=board.packing, clock_mhz=board.clock_mhz))
    if arguments.config:
        config = SystemConfig.from_dict(json.loads(arguments.config.read_text(encoding="utf-8")))
    report = synthesise_design(generate(config, TOP), TOP, board.family, cache=default_cache(),
                               progress=lambda text: print("   ", text, flush=True))
    text = table(report, config, board)
    print(text)
    if not arguments.config:
        print(comparison(report, config))
    if arguments.write and not arguments.config:
        results = ROOT / "docs" / "results" / "synthesis.json"
        results.parent.mkdir(exist_ok=True)
        results.write_text(json.dumps({"config": config.to_dict(), **report.to_dict()}, indent=1) + "\n",
                           encoding="utf-8")
        write_section("synthesis", text)
        write_section("dpu", comparison(report, config))


if __name__ == "__main__":
    main()
