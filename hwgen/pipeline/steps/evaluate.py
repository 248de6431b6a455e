"""Step ``evaluate``: accuracy on the user's data, else what the recipe records, labelled so."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from hwgen.ir.nodes import Graph
from hwgen.pipeline.graphfile import load_graph
from hwgen.pipeline.images import data_images
from hwgen.pipeline.request import BuildRequest
from hwgen.pipeline.source import ModelSource, model_source
from hwgen.pipeline.step import Step, StepContext
from hwgen.pipeline.steps.plan import PLANNED
from hwgen.pipeline.steps.quantise import QUANTISED
from hwgen.pipeline.store import RECORD, write_json

ACCURACY = "accuracy.json"


def run(context: StepContext) -> dict[str, Any]:
    """Write the accuracies."""
    request, source = context.request, model_source(context.request)
    kind = json.loads((context.results["quantise"] / RECORD).read_text(encoding="utf-8"))["summary"]["kind"]
    values = recorded_values(request, source, kind)
    if request.data is not None and source.recipe is not None:
        graph = load_graph(context.results["quantise"] / QUANTISED)
        images = data_images(source, request.data, "test", count=request.evaluate_images, seed=0)
        assert images.labels is not None
        planned = load_graph(context.results["plan"] / PLANNED)
        values |= {
            "dataset": source.recipe.input.dataset, "images": len(images), "source": "measured",
            "compressed": _float_accuracy(planned, images.pixels, images.labels, context),
            "int8": _integer_accuracy(graph, images.pixels, images.labels, context),
            "note": "float: recorded", "float": source.evaluation.float,
        }
    write_json(context.out / ACCURACY, values)
    return {"text": _text(values), **values}


def recorded_values(request: BuildRequest, source: ModelSource, calibration: str) -> dict[str, Any]:
    """What the recipe records; nothing if this build uses other weights, or another form of the network.

    Args:
        calibration: "measured", "recorded" or "sample"; with sample images the integer network is not the one whose
            accuracy was recorded.
    """
    if request.weights or request.compress or source.file is not None:
        return {"dataset": "", "images": 0, "float": None, "compressed": None, "int8": None, "source": "not measured",
                "note": "give --data to measure"}
    recorded = source.evaluation
    note = "int8 was recorded with calibration on real images, this build was calibrated on sample images"
    return {"dataset": recorded.dataset, "images": recorded.images, "float": recorded.float,
            "compressed": recorded.compressed, "int8": recorded.int8, "source": "recorded",
            "note": note if calibration == "sample" and recorded.int8 is not None else ""}


def _text(values: dict[str, Any]) -> str:
    known = [f"{k} {100 * values[k]:.2f} %" for k in ("float", "compressed", "int8") if values[k] is not None]
    if not known:
        return "no figures recorded, none measured (give --data to measure)"
    return f"{', '.join(known)} on {values['images']:,} images of {values['dataset']} ({values['source']})"


def _float_accuracy(graph: Graph, pixels: np.ndarray, labels: np.ndarray, context: StepContext) -> float:
    from hwgen.ir.execute import run_float

    right = 0
    for begin in range(0, len(pixels), 100):
        scores = run_float(graph, pixels[begin:begin + 100])[graph.output]
        right += int((np.asarray(scores).reshape(len(scores), -1).argmax(1) == labels[begin:begin + 100]).sum())
        context.progress(f"float, {begin + len(scores):,} of {len(pixels):,} images")
    return right / len(pixels)


def _integer_accuracy(graph: Graph, pixels: np.ndarray, labels: np.ndarray, context: StepContext) -> float:
    from hwgen.golden.evaluate import evaluate

    def progress(done: int, total: int) -> None:
        context.progress(f"int8, {done:,} of {total:,} images")

    return evaluate(graph, pixels, labels, progress=progress).top1


def inputs(request: BuildRequest) -> dict[str, Any]:
    """The recorded figures, or the data."""
    recorded = model_source(request).evaluation
    return {"recorded": vars(recorded), "data": str(request.data.resolve()) if request.data else "",
            "images": request.evaluate_images}


STEP = Step(
    name="evaluate", title="evaluating", needs=("plan", "quantise"), inputs=inputs, run=run,
    code=("hwgen.golden", "hwgen.data", "hwgen.pipeline.steps.evaluate", "hwgen.pipeline.images"),
)
