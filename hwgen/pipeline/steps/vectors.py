"""Step ``vectors``: the frames of the proof and what the golden model expects; computed before any simulation."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from hwgen.ir.nodes import Graph, QConv2d
from hwgen.pipeline.graphfile import load_graph
from hwgen.pipeline.images import Images, data_images, sample_images
from hwgen.pipeline.request import BuildRequest
from hwgen.pipeline.source import model_source
from hwgen.pipeline.step import Step, StepContext
from hwgen.pipeline.steps.compile import compiled
from hwgen.pipeline.steps.quantise import QUANTISED
from hwgen.pipeline.store import write_json
from hwgen.verify.expected import expected_tensors, integer_inputs

INPUTS, EXPECTED, FRAMES = "inputs.npy", "expected.npz", "frames.json"


def run(context: StepContext) -> dict[str, Any]:
    """Write int8 inputs, expected tensors and where the images come from."""
    request, source = context.request, model_source(context.request)
    graph = load_graph(context.results["quantise"] / QUANTISED)
    if request.data is not None:
        images = data_images(source, request.data, "test", count=request.frames, seed=request.seed)
    else:
        images = sample_images(source, graph.input_node().shape, request.frames, request.seed)
    dumps = [name for name, _ in compiled(context.results, request)[0].dumps] if request.dump_layers else []
    inputs = integer_inputs(graph, images.pixels)
    frames = expected_tensors(graph, inputs, dumps)
    np.save(context.out / INPUTS, inputs)
    stored: dict[str, Any] = {f"{n}:{name}": t for n, f in enumerate(frames) for name, t in f.items()}
    np.savez(context.out / EXPECTED, **stored)
    classes = [_class(graph, f[graph.output]) for f in frames]
    labels = None if images.labels is None else [int(v) for v in images.labels]
    write_json(context.out / FRAMES, {"origin": images.origin, "output": graph.output, "classes": classes,
                                      "labels": labels, "tensors": list(frames[0]), "names": list(graph.labels)})
    values = sum(t.size for f in frames for t in f.values())
    return {"text": f"{images.origin}; {values:,} expected values{_hits(images, classes)}",
            "origin": images.origin, "frames": len(frames)}


def _class(graph: Graph, output: np.ndarray) -> int:
    node = graph[graph.output]
    values = output.reshape(-1).astype(np.float64)
    if isinstance(node, QConv2d) and node.raw_scale is not None and values.size == node.raw_scale.size:
        values = values * node.raw_scale
    return int(values.argmax())


def _hits(images: Images, classes: list[int]) -> str:
    if images.labels is None:
        return ""
    right = sum(int(a == b) for a, b in zip(classes, images.labels, strict=True))
    return f"; {right} of {len(classes)} classified correctly"


def load_vectors(context: StepContext) -> tuple[np.ndarray, list[dict[str, np.ndarray]], dict[str, Any]]:
    """Inputs, expected tensors per frame, and the description."""
    folder = context.results["vectors"]
    inputs = np.load(folder / INPUTS)
    described = json.loads((folder / FRAMES).read_text(encoding="utf-8"))
    with np.load(folder / EXPECTED) as stored:
        frames = [{name: stored[f"{n}:{name}"] for name in described["tensors"]} for n in range(len(inputs))]
    return inputs, frames, described


def inputs(request: BuildRequest) -> dict[str, Any]:
    """Which images."""
    return {"data": str(request.data.resolve()) if request.data else "", "frames": request.frames,
            "seed": request.seed, "dump": request.dump_layers}


STEP = Step(
    name="vectors", title="computing the expected results", needs=("quantise", "search"), inputs=inputs, run=run,
    code=("hwgen.golden", "hwgen.data", "hwgen.verify.expected", "hwgen.pipeline.images",
          "hwgen.pipeline.steps.vectors"),
)
