"""Step ``handoff``: the folder and archive for the FPGA engineer, searched for the key before it becomes visible."""

from __future__ import annotations

from typing import Any

from hwgen.config.board import load_board
from hwgen.errors import HwgenError
from hwgen.handoff.archive import files_of, write_archive
from hwgen.handoff.secrets import find_key
from hwgen.pipeline.keys import build_key
from hwgen.pipeline.request import BuildRequest
from hwgen.pipeline.source import model_source
from hwgen.pipeline.step import Step, StepContext
from hwgen.pipeline.steps import report, rtl, seal, search
from hwgen.pipeline.steps.vectors import load_vectors
from hwgen.report.figures import read_json

FILES, ARCHIVE = "files", "handoff.zip"


def run(context: StepContext) -> dict[str, Any]:
    """Write folder and archive."""
    from hwgen.driver.image import Image
    from hwgen.handoff.folder import Contents, write_handoff

    request, results = context.request, context.results
    source, board, system = model_source(request), load_board(request.board), search.load_system(results["search"])
    image = (results["seal"] / seal.IMAGE).read_bytes()
    inputs, frames, described = load_vectors(context)
    folder = context.out / FILES
    folder.mkdir()
    write_handoff(folder, Contents(
        model=source.name, board=board, system=system, image=image, metadata=Image.parse(image, seal.IMAGE).metadata,
        verilog=(results["rtl"] / rtl.VERILOG).read_text(encoding="utf-8"), inputs=inputs,
        expected=[f[described["output"]] for f in frames], classes=described["classes"], labels=described["names"],
        report=read_json(results["report"] / report.JSON), report_folder=results["report"]))
    write_archive(folder, context.out / ARCHIVE, f"{source.name}-{board.name}")
    found = find_key(build_key(request, system.engine.aes_key_bits).reveal(), files_of(context.out))
    if found:
        raise HwgenError(f"the key would be handed on: {found[0]}", where="handoff", exit_code=1)
    size = (context.out / ARCHIVE).stat().st_size
    return {"text": f"{len(files_of(folder))} files, {ARCHIVE} of {size / 1e6:.1f} MB, no key in it"}


def inputs(request: BuildRequest) -> dict[str, Any]:
    """Name and board."""
    return {"model": model_source(request).name, "board": load_board(request.board).to_dict()}


STEP = Step(
    name="handoff", title="writing the hand-off", needs=("search", "seal", "rtl", "vectors", "report"), inputs=inputs,
    run=run,
    code=("hwgen.handoff", "hwgen.driver", "rtl_templates.shell", "rtl_templates.verilog",
          "hwgen.pipeline.steps.handoff"),
)
