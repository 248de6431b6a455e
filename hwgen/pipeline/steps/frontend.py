"""Step ``frontend``: recipe or ONNX file -> float graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hwgen.ir.count import count
from hwgen.ir.nodes import Graph
from hwgen.ir.verify import Stage, verify
from hwgen.pipeline.graphfile import load_graph, save_graph
from hwgen.pipeline.source import ModelSource, model_source, source_inputs
from hwgen.pipeline.step import Step, StepContext

GRAPH = "float.safetensors"


def run(context: StepContext) -> dict[str, Any]:
    """Write the float graph."""
    context.progress("exporting the model")
    graph, origin = read_model(model_source(context.request), context.request.weights)
    save_graph(graph, context.out / GRAPH)
    totals = count(graph)
    return {"text": f"{len(graph.nodes)} nodes, {totals.parameters:,} parameters, {totals.macs:,} MACs; {origin}",
            "weights": origin, "parameters": totals.parameters, "macs": totals.macs}


def read_model(source: ModelSource, weights: Path | None) -> tuple[Graph, str]:
    """The float graph of a model, and where its weights come from.

    Raises:
        HwgenError: an unreadable file, an operator that is not supported, weights that do not fit.
    """
    if source.file is not None and source.file.suffix == ".onnx":
        from hwgen.frontend.onnx_frontend import load_onnx

        graph, origin = load_onnx(source.file, source.name), f"ONNX file {source.file.name}"
    elif source.file is not None:
        graph, origin = load_graph(source.file), f"graph file {source.file.name}"
    else:
        from hwgen.frontend.torch_frontend import from_torch
        from hwgen.zoo.build import build_module

        assert source.recipe is not None
        built, spec = build_module(source.recipe, weights), source.recipe.input
        graph, origin = from_torch(built.module, spec.shape, source.name, spec.classes), built.origin.description
    return verify(graph, Stage.FLOAT), origin


STEP = Step(
    name="frontend", title="reading the model", needs=(), inputs=source_inputs, run=run,
    code=("hwgen.frontend", "hwgen.ir", "hwgen.zoo", "hwgen.tt", "hwgen.pipeline.steps.frontend"),
)
