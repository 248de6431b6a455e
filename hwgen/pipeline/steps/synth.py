"""Step ``synth``: resources and logic depth of every module by Yosys (on request, it takes minutes)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from hwgen.config.board import load_board
from hwgen.pipeline.request import BuildRequest
from hwgen.pipeline.step import Step, StepContext
from hwgen.pipeline.steps.rtl import TOP, VERILOG
from hwgen.pipeline.store import write_json
from hwgen.synth.clock import worst_path
from hwgen.synth.design import synthesise_design

REPORT = "synthesis.json"


def run(context: StepContext) -> dict[str, Any]:
    """Write what every module takes."""
    board = load_board(context.request.board)
    verilog = (context.results["rtl"] / VERILOG).read_text(encoding="utf-8")
    report = synthesise_design(verilog, TOP, board.family, cache=context.cache, progress=context.progress)
    module, worst = worst_path(report, board.timing)
    estimate = {"worst_module": module, "worst_ns": round(worst, 2), "clock_mhz": round(1e3 / worst, 1)}
    write_json(context.out / REPORT, {**report.to_dict(), **estimate})
    raw = ", ".join(f"{v:,.0f} {k}" for k, v in report.raw.to_dict().items() if v)
    return {"text": f"{raw}; at most {report.levels} levels of logic within a module, "
                    f"estimated good for {1e3 / worst:.0f} MHz", "levels": report.levels}


def inputs(request: BuildRequest) -> dict[str, Any]:
    """The device family and its assumed delays."""
    board = load_board(request.board)
    return {"family": board.family, "timing": asdict(board.timing)}


STEP = Step(
    name="synth", title="synthesising", needs=("rtl",), inputs=inputs, run=run, code=("hwgen.synth",),
    wanted=lambda request: request.synthesise,
)
