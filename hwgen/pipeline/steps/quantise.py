"""Step ``quantise``: calibration and the integer graph."""

from __future__ import annotations

import json
from math import isinf
from typing import TYPE_CHECKING, Any

from hwgen.ir.nodes import Graph
from hwgen.pipeline.calibration import FILE, Recorded, load_recorded, recorded_path, save_recorded
from hwgen.pipeline.fingerprint import hash_file
from hwgen.pipeline.graphfile import load_graph, save_graph
from hwgen.pipeline.images import data_images, sample_images
from hwgen.pipeline.request import BuildRequest
from hwgen.pipeline.source import ModelSource, model_source
from hwgen.pipeline.step import Step, StepContext
from hwgen.pipeline.steps.plan import PLANNED
from hwgen.pipeline.store import write_json

if TYPE_CHECKING:
    from hwgen.quantize import Calibration

QUANTISED = "quantised.safetensors"
LAYERS = "layers.json"
#: sample images that stand in for a data set
SAMPLES = 64


def run(context: StepContext) -> dict[str, Any]:
    """Write the quantised graph and the signal-to-noise ratio of every layer."""
    from hwgen.quantize import calibrate, quantise
    from hwgen.quantize.report import layer_quality

    request, source = context.request, model_source(context.request)
    graph = load_graph(context.results["plan"] / PLANNED)
    spec, shape = source.quantize, graph.input_node().shape
    real = request.data is not None
    if request.data is not None:
        images = data_images(source, request.data, "train", count=spec.images, seed=spec.seed)
    else:
        images = sample_images(source, shape, SAMPLES, spec.seed)
    calibration = None if real else recorded_calibration(graph, request, source)
    origin, kind = images.origin, "measured" if real else "sample"
    if calibration is not None:
        calibration, origin, kind = calibration[0], f"recorded: {calibration[1]}", "recorded"
    else:
        context.progress(f"calibrating on {images.origin}")
        calibration = calibrate(graph, images.pixels, spec.calibration, spec.percentile)
    quantised = quantise(calibration)
    save_graph(quantised, context.out / QUANTISED)
    checkpoint = request.weights or (
        source.recipe.checkpoint if source.recipe and source.file in (None, source.recipe.checkpoint) else None)
    save_recorded(context.out / FILE, Recorded(
        origin=origin, method=spec.calibration, thresholds=calibration.thresholds,
        checkpoint=hash_file(checkpoint) if checkpoint and checkpoint.is_file() else ""))
    quality = layer_quality(calibration.lowered, quantised, images.pixels[:16])
    write_json(context.out / LAYERS, [
        {"name": q.name, "sqnr_db": None if isinf(q.sqnr_db) else round(q.sqnr_db, 2), "saturated": q.saturated}
        for q in quality])
    return {"text": f"{spec.calibration}, {origin}", "calibration": origin, "kind": kind}


def recorded_calibration(
    graph: Graph, request: BuildRequest, source: ModelSource
) -> tuple[Calibration, str] | None:
    """The recipe's recorded calibration, if it is of these weights and covers every tensor of the planned graph."""
    from hwgen.quantize import Calibration
    from hwgen.quantize.fuse import fuse
    from hwgen.quantize.lower import lower

    found = None if request.weights or request.compress else load_recorded(source)
    if found is None:
        return None
    lowered = lower(graph)
    tensors = {f.tensor for f in fuse(lowered.graph)}
    if not tensors <= set(found.thresholds):
        return None
    thresholds = {name: found.thresholds[name] for name in tensors}
    return Calibration(lowered=lowered, histograms={}, thresholds=thresholds, means={}, images=0), found.origin


def layer_table(context: StepContext) -> list[dict[str, Any]]:
    """What ``run`` measured."""
    return json.loads((context.results["quantise"] / LAYERS).read_text(encoding="utf-8"))


def inputs(request: BuildRequest) -> dict[str, Any]:
    """Settings, and whether real images or a recorded calibration are used."""
    source = model_source(request)
    spec, path = source.quantize, recorded_path(source)
    return {"recorded": hash_file(path) if path is not None and path.is_file() else "",
            "own": not request.weights and not request.compress,
            "data": str(request.data.resolve()) if request.data else "", "calibration": spec.calibration,
            "images": spec.images, "percentile": spec.percentile, "seed": spec.seed}


STEP = Step(
    name="quantise", title="quantising", needs=("plan",), inputs=inputs, run=run,
    code=("hwgen.quantize", "hwgen.data", "hwgen.pipeline.steps.quantise", "hwgen.pipeline.images"),
)
