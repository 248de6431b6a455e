"""Estimated logic of the stages of streaming pipelines against synthesis with Yosys.

    python benchmarks/stage_cost.py --build build/stream/resnet8-kv260-stream:1,6 [--build ...] [--cache FOLDER]
                                    [--write]

``--build FOLDER:NUMBERS``: a finished build of a pipeline (``benchmarks/stream.py`` makes some) and the stages of it
that are synthesised, each with everything below it; without numbers, all. Synthesis is for UltraScale+; what a vendor
tool places inside DSP blocks (input registers, sums, products) counts on neither side. ``--write`` updates
docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

from docs_page import write_section

from hwgen.config.system import SystemConfig
from hwgen.pipeline.build import default_cache
from hwgen.stream.cost import stage_resources
from hwgen.synth.design import synthesise_apart

TOP = "hwgen_accelerator"
#: Verilog module of a stage: its number
_STAGE = re.compile(rf"^module (\\{TOP}\.engine\.stage_(\d+)_\w+) ?\(", re.M)


def measure(build: str, cache: Path) -> list[dict[str, Any]]:
    """A row for every stage that was asked for."""
    name, _, numbers = build.partition(":")
    folder = Path(name)
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    config = SystemConfig.from_dict(report["config"]).engine
    if config.pipeline is None:
        raise SystemExit(f"{folder}: not a pipeline")
    verilog = (folder / "rtl" / f"{TOP}.v").read_text(encoding="utf-8")
    modules = {int(number): module.lstrip("\\") for module, number in _STAGE.findall(verilog)}
    wanted = [int(n) for n in numbers.split(",")] if numbers else sorted(modules)
    found = synthesise_apart(verilog, TOP, [modules[n] for n in wanted], "xcup", without=[], cache=cache,
                             progress=lambda text: print(f"  {text}", flush=True))
    rows = []
    for number in wanted:
        stage, synthesised = config.pipeline.stages[number], found[modules[number]]
        estimate = stage_resources(stage, config)
        rows.append({
            "network": report["model"], "board": report["board"], "stage": stage.name, "kind": stage.kind.value,
            "pe": stage.pe, "simd": stage.simd, "lanes": stage.lanes, "serial": stage.serial,
            **{f"{kind}_estimated": getattr(estimate, kind) for kind in ("lut", "ff", "dsp", "bram36")},
            **{f"{kind}_synthesised": getattr(synthesised.raw, kind) - getattr(synthesised.absorbable, kind)
               for kind in ("lut", "ff", "dsp", "bram36")}})
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown."""
    lines = ["| network, board | stage | kind | pe x simd, lanes | LUT, estimated | synthesised | error "
             "| FF, estimated | synthesised | error | DSP, est. / synth. | BRAM, est. / synth. |", "|" + "---|" * 12]
    for r in rows:
        lut, ff = (r[f"{kind}_estimated"] / r[f"{kind}_synthesised"] - 1 for kind in ("lut", "ff"))
        kind = r["kind"] + (", serial" if r["serial"] else "")
        lines.append(
            f"| {r['network']}, {r['board']} | `{r['stage']}` | {kind} | {r['pe']} x {r['simd']}, {r['lanes']} | "
            f"{r['lut_estimated']:,.0f} | {r['lut_synthesised']:,.0f} | {100 * lut:+.1f} % | "
            f"{r['ff_estimated']:,.0f} | {r['ff_synthesised']:,.0f} | "
            f"{100 * ff:+.1f} % | {r['dsp_estimated']:.0f} / {r['dsp_synthesised']:.0f} | "
            f"{r['bram36_estimated']:.1f} / {r['bram36_synthesised']:.1f} |")
    sums = {k: sum(r[k] for r in rows) for k in ("lut_estimated", "lut_synthesised", "ff_estimated", "ff_synthesised")}
    lines.append(
        f"| all | | | | {sums['lut_estimated']:,.0f} | {sums['lut_synthesised']:,.0f} | "
        f"{100 * (sums['lut_estimated'] / sums['lut_synthesised'] - 1):+.1f} % | {sums['ff_estimated']:,.0f} | "
        f"{sums['ff_synthesised']:,.0f} | {100 * (sums['ff_estimated'] / sums['ff_synthesised'] - 1):+.1f} % | | |")
    return "\n".join(lines)


def main() -> None:
    """Synthesise, print, and with ``--write`` update docs/."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", action="append", required=True, metavar="FOLDER[:NUMBERS]")
    parser.add_argument("--cache", type=Path, default=default_cache())
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    text = table([row for build in options.build for row in measure(build, options.cache)])
    print(text)
    if options.write:
        write_section("stages", text)


if __name__ == "__main__":
    main()
