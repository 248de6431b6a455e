"""The build: its steps in order."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from hwgen.pipeline.check import check_request, make_folder
from hwgen.pipeline.request import BuildRequest
from hwgen.pipeline.runner import Run, StepEvent, run_pipeline
from hwgen.pipeline.saved import save_request
from hwgen.pipeline.step import Step
from hwgen.pipeline.steps import (
    compile as compile_step,
)
from hwgen.pipeline.steps import (
    compress,
    evaluate,
    frontend,
    handoff,
    plan,
    quantise,
    report,
    rtl,
    seal,
    search,
    select,
    synth,
    vectors,
    verify,
)
from hwgen.pipeline.store import StepRecord, write_bytes, write_json, write_text
from hwgen.report.figures import read_json

#: what ``hwgen build`` does, in this order
STEPS: tuple[Step, ...] = (
    frontend.STEP, compress.STEP, select.STEP, search.STEP, plan.STEP, quantise.STEP, evaluate.STEP, compile_step.STEP,
    seal.STEP, rtl.STEP, vectors.STEP, verify.STEP, synth.STEP, report.STEP, handoff.STEP,
)


class Watcher(Protocol):
    """Is told what happens."""

    def event(self, event: StepEvent) -> None:
        """A step has begun or ended."""
        ...

    def detail(self, text: str) -> None:
        """What the running step is doing."""
        ...


def build_directory(model: str, board: str) -> Path:
    """``build/<model>-<board>`` below the current directory."""
    return Path("build") / f"{Path(model).stem}-{Path(board).stem}"


def default_cache() -> Path:
    """Compiled simulators and synthesised modules of all builds."""
    from hwgen_sim.cache import default_cache_dir

    return default_cache_dir()


def build(
    request: BuildRequest, watcher: Watcher, *, cache: Path | None = None, first: str | None = None,
    last: str | None = None,
) -> dict[str, Any] | None:
    """Run the build; every option is checked before anything is written.

    Returns:
        The report; None if the build stops before it is made (``last``).
    """
    check_request(request)
    if cache is not None:
        make_folder(cache, "--cache")
    run = Run(cache=cache or default_cache(), first=first, last=last, observer=watcher.event, progress=watcher.detail,
              changing=lambda: save_request(request), finished=lambda records: finish(request, records))
    records = run_pipeline(STEPS, request, run)
    return read_json(request.out / report.JSON) if handoff.STEP.name in records else None


def finish(request: BuildRequest, records: dict[str, StepRecord]) -> None:
    """Keep the request; of a complete build, put what people look for first at the top of its directory.

    Each file appears at once or not at all.
    """
    out = request.out
    save_request(request)
    if handoff.STEP.name not in records:
        return
    values = read_json(out / report.STEP.name / report.JSON)
    values["steps"] = {name: record.seconds for name, record in records.items()}
    write_json(out / report.JSON, values)
    write_bytes(out / report.HTML, (out / report.STEP.name / report.HTML).read_bytes())
    write_bytes(out / handoff.ARCHIVE, (out / handoff.STEP.name / handoff.ARCHIVE).read_bytes())
    write_text(out / "README.md", _README)


_README = """# Build directory of hwgen

- `report.html`, `report.json`: all figures
- `handoff.zip`: for the FPGA engineer (unpacked: `handoff/files`); its own README says what to do
- one folder per step of the build with its result and `step.json` (inputs' hash, seconds, summary)

`hwgen build` with the same options reuses every step whose inputs have not changed; `--from STEP` runs a step again.
No key is in here: a development key lies beside this directory.
The weights are in here in plaintext (`frontend` to `quantise`): only `handoff.zip` is meant to be passed on.
"""
