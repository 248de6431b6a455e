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
    if request.data is not None:
        graph = load_graph(context.results["quantise"] / QUANTISED)
        images = data_images(source, request.data, "test", count=request.evaluate_images, seed=0)
        assert images.labels is not None and source.recipe is not None
        planned = load_graph(context.results["plan"] / PLANNED)
        compressed = _float_accuracy(planned, images.pixels, images.labels, context)
        float_values = uncompressed_accuracy(values, compressed, len(images), changed=_is_compressed(context))
        values = {
            "dataset": source.recipe.input.dataset, "images": len(images), "source": "measured",
            "compressed": compressed, "int8": _integer_accuracy(graph, images.pixels, images.labels, context),
            **float_values,
        }
    write_json(context.out / ACCURACY, values)
    return {"text": accuracy_text(values), **values}


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


def _is_compressed(context: StepContext) -> bool:
    counts = json.loads((context.results["compress"] / RECORD).read_text(encoding="utf-8"))["summary"]
    return counts["parameters"] != counts["dense_parameters"]


def uncompressed_accuracy(recorded: dict[str, Any], compressed: float, images: int, *, changed: bool) -> dict[str, Any]:
    """Accuracy of the network before compression: this one's if it was not compressed, else only as recorded.

    Args:
        recorded: from ``recorded_values``.
        compressed: measured accuracy of the float network of this build.
        images: on which it was measured; a figure recorded on another number of images does not stand beside it.
        changed: the network was compressed.
    """
    if not changed:
        return {"float": compressed, "note": ""}
    if recorded["float"] is not None and recorded["images"] == images:
        return {"float": recorded["float"], "note": "float: recorded, the network before compression is not at hand"}
    return {"float": None, "note": "float: the network before compression is not at hand"}


def accuracy_text(values: dict[str, Any]) -> str:
    """The accuracies in one line, each with what it was measured on."""
    known = [f"{k} {100 * values[k]:.2f} %" for k in ("float", "compressed", "int8") if values[k] is not None]
    if values["note"].startswith("float: recorded"):
        known[0] += " (recorded)"
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
    name="evaluate", title="evaluating", needs=("compress", "plan", "quantise"), inputs=inputs, run=run,
    code=("hwgen.golden", "hwgen.data", "hwgen.pipeline.steps.evaluate", "hwgen.pipeline.images"),
)
