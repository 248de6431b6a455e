"""Step ``select``: which cores and kernels are encrypted, chosen and verified by attack, where that is asked for."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from hwgen.pipeline.encryption import SELECT_STEP, SELECTION, attacker
from hwgen.pipeline.fingerprint import hash_file, hash_json
from hwgen.pipeline.graphfile import load_graph, save_graph
from hwgen.pipeline.request import BuildRequest
from hwgen.pipeline.source import model_source, source_inputs
from hwgen.pipeline.step import Progress, Step, StepContext
from hwgen.pipeline.steps.frontend import GRAPH
from hwgen.pipeline.steps.quantise import inputs as quantise_inputs
from hwgen.pipeline.store import write_json

NETWORK, RESULT, ROWS = "network.safetensors", "result.json", "rows.json"
#: runs are kept in the cache: an interrupted one continues, and builds for other boards find it finished
RUNS = "selections"


class StepWatcher:
    """Passes what a run says on to the progress of a step."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._title = progress, ""

    def begin(self, title: str) -> None:
        """Something that takes long begins."""
        self._title = title
        self._progress(title)

    def step(self, done: int, total: int) -> None:
        """How far it is."""
        self._progress(f"{self._title}, {done:,} of {total:,}")

    def note(self, text: str) -> None:
        """A result, one line."""
        self._progress(text)


def run(context: StepContext) -> dict[str, Any]:
    """Write the selection, everything that was found on the way, and its plots."""
    from hwgen.ttseal.device import use_torch
    from hwgen.ttseal.plots import write_plots
    from hwgen.ttseal.report import make_rows, percent
    from hwgen.ttseal.select import SealJob, select
    from hwgen.ttseal.settings import settings_of
    from hwgen.ttseal.target import load_splits, planned_target

    request, source = context.request, model_source(context.request)
    against = attacker(request, source)
    assert against is not None and request.data is not None and source.recipe is not None
    settings = settings_of(against)
    use_torch("cpu", None)
    target = planned_target(load_graph(context.results["compress"] / GRAPH), request, source, source.recipe)
    splits = load_splits(source.recipe, request.data, settings)
    save_graph(target.graph, context.out / NETWORK)
    key = hash_json([hash_file(context.out / NETWORK), target.checkpoint, settings.of_substitutes(),
                     str(request.data.resolve())])
    job = SealJob(target=target, splits=splits, settings=settings,
                  out=context.cache / RUNS / f"{target.name}-{key[:16]}")
    result = select(job, StepWatcher(context.progress))
    write_json(context.out / RESULT, result)
    for name in (SELECTION, ROWS):
        (context.out / name).write_bytes((job.out / name).read_bytes())
    write_plots(result, context.out)
    row, blind = (next(r for r in make_rows(result) if r["set"] == name) for name in ("chosen", "all"))
    return {"text": f"{len(result['verified']['nodes'])} of {len(result['units'])} cores and kernels, "
                    f"{percent(row['encrypted_share'], 2)} of the bytes; substitute "
                    f"{percent(row['substitute_accuracy_mean'])}, blind {percent(blind['substitute_accuracy_mean'])}",
            "run": str(job.out)}


def inputs(request: BuildRequest) -> dict[str, Any]:
    """The attacker, the model, its images and their ranges."""
    against = attacker(request, model_source(request))
    return {**source_inputs(request), **quantise_inputs(request), "compress": request.compress,
            "attacker": None if against is None else asdict(against)}


STEP = Step(
    name=SELECT_STEP, title="choosing what is encrypted", needs=("compress",), inputs=inputs, run=run,
    wanted=lambda request: attacker(request, model_source(request)) is not None,
    code=("hwgen.ttseal", "hwgen.quantize", "hwgen.passes", "hwgen.golden", "hwgen.train", "hwgen.data",
          "hwgen.pipeline.steps.select"),
)
