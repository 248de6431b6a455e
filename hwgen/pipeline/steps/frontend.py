"""Step ``frontend``: recipe or ONNX file -> float graph."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hwgen.errors import HwgenError
from hwgen.ir.count import count
from hwgen.ir.nodes import Graph
from hwgen.ir.verify import Stage, verify
from hwgen.pipeline.graphfile import graph_weights, load_graph, save_graph
from hwgen.pipeline.images import input_spec
from hwgen.pipeline.source import ModelSource, model_source, source_inputs
from hwgen.pipeline.step import Step, StepContext
from hwgen.pipeline.store import write_json
from hwgen.zoo.recipe import InputSpec

GRAPH, INPUT = "float.safetensors", "input.json"


@dataclass(frozen=True)
class Weights:
    """Where weights come from.

    Args:
        kind: "trained" = they ship with the recipe; "user" = from a file of the user's; "seeded" = random, accuracies
            mean nothing.
        text: for people.
    """

    kind: str
    text: str


def run(context: StepContext) -> dict[str, Any]:
    """Write the float graph."""
    context.progress("exporting the model")
    source = model_source(context.request)
    graph, origin = read_model(source, context.request.weights)
    save_graph(graph, context.out / GRAPH)
    write_json(context.out / INPUT, asdict(input_spec(source, graph.input_node().shape)))
    totals = count(graph)
    return {"text": f"{len(graph.nodes)} nodes, {totals.parameters:,} parameters, {totals.macs:,} MACs; {origin.text}",
            "weights": asdict(origin), "parameters": totals.parameters, "macs": totals.macs}


def read_model(source: ModelSource, weights: Path | None) -> tuple[Graph, Weights]:
    """The float graph of a model, and where its weights come from.

    Raises:
        HwgenError: an unreadable file, an operator that is not supported, weights that do not fit.
    """
    if source.file is not None and source.file.suffix == ".onnx":
        from hwgen.frontend.onnx_frontend import load_onnx

        graph, origin = load_onnx(source.file, source.name), Weights("user", f"ONNX file {source.file.name}")
    elif source.file is not None:
        graph, stored = load_graph(source.file), graph_weights(source.file)
        text = "; ".join(t for t in (f"graph file {source.file.name}", stored.get("text")) if t)
        origin = Weights(stored.get("kind", "user"), text)
    else:
        from hwgen.frontend.torch_frontend import from_torch
        from hwgen.zoo.build import build_module

        assert source.recipe is not None
        built, spec = build_module(source.recipe, weights), source.recipe.input
        graph = from_torch(built.module, spec.shape, source.name, spec.classes)
        origin = Weights(built.origin.kind, built.origin.description)
    return verify(graph, Stage.FLOAT), origin


def load_input(folder: Path) -> InputSpec:
    """How this build's images are prepared."""
    try:
        values: dict[str, Any] = json.loads((folder / INPUT).read_text(encoding="utf-8"))
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return InputSpec(**fields)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise HwgenError(f"cannot be read: {error}", where=str(folder / INPUT), hint="build again") from error


STEP = Step(
    name="frontend", title="reading the model", needs=(), inputs=source_inputs, run=run,
    code=("hwgen.frontend", "hwgen.ir", "hwgen.zoo", "hwgen.tt", "hwgen.pipeline.steps.frontend"),
)
