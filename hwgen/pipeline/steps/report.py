"""Step ``report``: report.json and report.html."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hwgen.config.board import load_board
from hwgen.pipeline.request import BuildRequest
from hwgen.pipeline.source import model_source
from hwgen.pipeline.step import Step, StepContext
from hwgen.pipeline.steps import compile as compile_step
from hwgen.pipeline.steps import evaluate, quantise, search, synth, vectors, verify
from hwgen.pipeline.store import RECORD, write_json
from hwgen.report.figures import Sources, make_report, read_json

JSON, HTML = "report.json", "report.html"


def run(context: StepContext) -> dict[str, Any]:
    """Write both reports."""
    from hwgen.report.html import render

    results = context.results

    def optional(step: str, name: str) -> Any:
        return read_json(results[step] / name) if step in results else None

    report = make_report(Sources(
        model=model_source(context.request).name, board=load_board(context.request.board),
        weights=_summary(results["frontend"])["weights"], compress=_summary(results["compress"]),
        search=read_json(results["search"] / search.RESULT),
        system=search.load_system(results["search"]), accuracy=read_json(results["evaluate"] / evaluate.ACCURACY),
        program=read_json(results["compile"] / compile_step.PROGRAM), sealing=_summary(results["seal"]),
        layers=read_json(results["quantise"] / quantise.LAYERS),
        frames=read_json(results["vectors"] / vectors.FRAMES), proof=optional("verify", verify.PROOF),
        synthesis=optional("synth", synth.REPORT), steps={name: _seconds(path) for name, path in results.items()}))
    write_json(context.out / JSON, report)
    (context.out / HTML).write_text(render(report), encoding="utf-8")
    return {"text": f"{JSON} and {HTML}"}


def _record(folder: Path) -> dict[str, Any]:
    return json.loads((folder / RECORD).read_text(encoding="utf-8"))


def _summary(folder: Path) -> dict[str, Any]:
    return _record(folder)["summary"]


def _seconds(folder: Path) -> float:
    return _record(folder)["seconds"]


def inputs(request: BuildRequest) -> dict[str, Any]:
    """Name and board."""
    return {"model": model_source(request).name, "board": load_board(request.board).to_dict()}


STEP = Step(
    name="report", title="writing the report", inputs=inputs, run=run,
    needs=("frontend", "compress", "search", "plan", "quantise", "evaluate", "compile", "seal", "rtl", "vectors",
           "verify", "synth"),
    code=("hwgen.report", "hwgen.cost.limit", "hwgen.pipeline.steps.report"),
)
