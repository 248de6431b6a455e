"""Step ``quantise``: calibration and the integer graph."""

from __future__ import annotations

import json
from math import isinf
from typing import Any

from hwgen.pipeline.graphfile import load_graph, save_graph
from hwgen.pipeline.images import data_images, sample_images
from hwgen.pipeline.request import BuildRequest
from hwgen.pipeline.source import model_source
from hwgen.pipeline.step import Step, StepContext
from hwgen.pipeline.steps.plan import PLANNED
from hwgen.pipeline.store import write_json

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
    if request.data is not None and source.recipe is not None:
        images = data_images(source, request.data, "train", count=spec.images, seed=spec.seed)
    else:
        images = sample_images(source, shape, SAMPLES, spec.seed)
    context.progress(f"calibrating on {images.origin}")
    calibration = calibrate(graph, images.pixels, spec.calibration, spec.percentile)
    quantised = quantise(calibration)
    save_graph(quantised, context.out / QUANTISED)
    quality = layer_quality(calibration.lowered, quantised, images.pixels[:16])
    write_json(context.out / LAYERS, [
        {"name": q.name, "sqnr_db": None if isinf(q.sqnr_db) else round(q.sqnr_db, 2), "saturated": q.saturated}
        for q in quality])
    return {"text": f"{spec.calibration} on {images.origin}", "calibration": images.origin}


def layer_table(context: StepContext) -> list[dict[str, Any]]:
    """What ``run`` measured."""
    return json.loads((context.results["quantise"] / LAYERS).read_text(encoding="utf-8"))


def inputs(request: BuildRequest) -> dict[str, Any]:
    """Settings, and whether real images are used."""
    spec = model_source(request).quantize
    return {"data": str(request.data.resolve()) if request.data else "", "calibration": spec.calibration,
            "images": spec.images, "percentile": spec.percentile, "seed": spec.seed}


STEP = Step(
    name="quantise", title="quantising", needs=("plan",), inputs=inputs, run=run,
    code=("hwgen.quantize", "hwgen.data", "hwgen.pipeline.steps.quantise", "hwgen.pipeline.images"),
)
