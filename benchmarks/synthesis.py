"""Synthesises every module of a configuration with Yosys and prints resources, logic levels and MACs per DSP.

    python benchmarks/synthesis.py [--config FILE.json] [--board zcu104] [--write]

Raw counts are Yosys's; the numbers in brackets could be absorbed by DSP slices (cascade adders, product registers),
which Yosys does not do and Vivado does. Levels: longest path between registers, in LUTs and carry cells; its time
follows from the delays that the board's file assumes. Without ``--config``: the default configuration, also beside
AMD's DPU, and of ``LARGEST`` the modules that it does not have. ``--write`` (not with ``--config``) updates
docs/benchmarks.md and docs/results/synthesis.json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path

from docs_page import write_section
from dpu import comparison

from hwgen.config.accelerator import AcceleratorConfig, RamStyle, WindowUnit
from hwgen.config.board import Board, load_board
from hwgen.config.system import SystemConfig
from hwgen.cost.arrays import ConfigTable
from hwgen.cost.resources import estimate
from hwgen.pipeline.build import default_cache
from hwgen.pipeline.store import write_json
from hwgen.synth.clock import path_ns, worst_path
from hwgen.synth.design import DesignReport, synthesise_design
from hwgen.synth.netlist import ModuleReport
from rtl_templates.verilog import generate

ROOT = Path(__file__).resolve().parent.parent
TOP = "hwgen_accelerator"
#: the largest single engine of zcu104, with all that can be built: what the search chooses for mobilenetv2 at 224²
LARGEST = AcceleratorConfig(act_ram=RamStyle.ULTRA, act_words=32768, weight_lines=8192, program_words=4096,
                            window=WindowUnit.DEPTHWISE, window_width=128)
TITLES = {"lut": "LUT", "ff": "FF", "dsp": "DSP", "bram36": "BRAM36", "uram": "URAM"}


def module_rows(parts: Iterable[tuple[ModuleReport, int]], board: Board) -> list[str]:
    """Markdown of modules, the largest first."""
    lines = ["| module | placed | LUT | FF | DSP | BRAM36 | URAM | levels | path, ns |", "|" + "---|" * 9]
    for module, count in sorted(parts, key=lambda part: -part[0].lut * part[1]):
        lines.append(f"| `{module.name}` | {count} | {module.lut:,.0f} ({module.absorbable_lut:,.0f}) "
                     f"| {module.ff:,.0f} ({module.absorbable_ff:,.0f}) | {module.dsp:.0f} | {module.bram36:g} "
                     f"| {module.uram:.0f} | {module.levels} | {path_ns(module, board.timing):.2f} |")
    return lines


def summary(report: DesignReport, config: SystemConfig, board: Board) -> list[str]:
    """Text on the whole design: resources and their share of the board, clock, error of the estimate."""
    raw, absorbed = report.raw, report.absorbable
    array_dsp = sum(module.dsp * count for module, count in report.parts if "column_group" in module.name)
    shares = ", ".join(f"{getattr(raw, name):,.0f} {title} ({getattr(raw, name) / getattr(board.resources, name):.1%})"
                       for name, title in TITLES.items() if getattr(board.resources, name))
    estimated = estimate(ConfigTable.of([config]), board, key_bits=config.engine.aes_key_bits).row(0).to_dict()
    errors = [f"{estimated[name]:,.0f} {title} ({estimated[name] / getattr(raw, name) - 1:+.1%})"
              for name, title in TITLES.items() if getattr(raw, name)]
    return [
        f"Whole design (share of {board.name}): {shares}; a vendor tool absorbs {absorbed.lut:,.0f} LUT and "
        f"{absorbed.ff:,.0f} FF. Deepest path: {report.levels} levels.",
        f"MACs per cycle: {config.macs_per_cycle:,}; per DSP {config.macs_per_cycle / raw.dsp:.2f}, in the array alone "
        f"{config.engine.array_macs_per_cycle / array_dsp:.2f}.",
        clock(report, board),
        f"Estimated by the cost model for {board.name}: {', '.join(errors)}.",
    ]


def clock(report: DesignReport, board: Board) -> str:
    """The clock that the longest path supports."""
    name, worst = worst_path(report, board.timing)
    timing = board.timing
    return (f"Clock: {board.name} runs at {board.clock_mhz:g} MHz = {1e3 / board.clock_mhz:.2f} ns. The worst path, in "
            f"`{name}`, is estimated at {worst:.2f} ns, good for {1e3 / worst:.0f} MHz, with {timing.level_ns:g} ns a "
            f"level, {timing.register_ns:g} ns for registers and {timing.memory_ns:g} ns for the output of a memory "
            f"block ({board.sources['timing']}).")


def synthesised(config: SystemConfig, board: Board) -> DesignReport:
    """From the cache, or by Yosys."""
    return synthesise_design(generate(config, TOP), TOP, board.family, cache=default_cache(),
                             progress=lambda text: print("   ", text, flush=True))


def main() -> None:
    """Synthesise, print, and with ``--write`` update docs/."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--board", default="zcu104")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    board = load_board(arguments.board)
    fixed = {"packing": board.packing, "clock_mhz": board.clock_mhz}
    config = SystemConfig(engine=AcceleratorConfig().replace(**fixed))
    if arguments.config:
        config = SystemConfig.from_dict(json.loads(arguments.config.read_text(encoding="utf-8")))
    report = synthesised(config, board)
    text = "\n".join([*module_rows(report.parts, board), "", *summary(report, config, board)])
    print(text)
    if arguments.config:
        return
    beside = comparison(report, config)
    print(beside)
    largest = SystemConfig(engine=LARGEST.replace(**fixed))
    whole = synthesised(largest, board)
    known = {module.name for module, _ in report.parts}
    new = [part for part in whole.parts if part[0].name not in known]
    more = "\n".join([*module_rows(new, board), "", *summary(whole, largest, board)])
    print(more)
    if arguments.write:
        results = ROOT / "docs" / "results" / "synthesis.json"
        rows = [{"config": c.to_dict(), **r.to_dict()} for c, r in ((config, report), (largest, whole))]
        write_json(results, rows)
        for section, content in (("synthesis", text), ("dpu", beside), ("largest", more)):
            write_section(section, content)


if __name__ == "__main__":
    main()
