"""Step ``compile``: descriptors, memory plan, weight stream; cycles predicted from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from math import prod
from pathlib import Path
from typing import Any

from hwgen.compiler.compile import compile_network
from hwgen.compiler.options import CompileOptions
from hwgen.compiler.result import CompiledNetwork
from hwgen.config.accelerator import AcceleratorConfig
from hwgen.config.board import load_board
from hwgen.cost.timeline import MemoryModel, Timeline, predict
from hwgen.errors import HwgenError
from hwgen.ir.nodes import Graph, QConv2d
from hwgen.pipeline.fingerprint import hash_file
from hwgen.pipeline.graphfile import load_graph
from hwgen.pipeline.request import BuildRequest
from hwgen.pipeline.source import ModelSource, model_source, weights_hash
from hwgen.pipeline.step import Step, StepContext
from hwgen.pipeline.steps.quantise import QUANTISED
from hwgen.pipeline.steps.search import load_config, load_system
from hwgen.pipeline.store import write_json
from hwgen.seal import load_selection, select_encrypted

PROGRAM = "program.json"


def run(context: StepContext) -> dict[str, Any]:
    """Write the program's figures, layer by layer, and the predicted timeline."""
    network, encrypted = compiled(context.results, context.request)
    memory, engines = MemoryModel.of(load_board(context.request.board)), load_system(context.results["search"]).engines
    prediction = predict(network, memory)
    together = predict(network, memory.share(engines)).steady.cycles
    layers = [asdict(layer) for layer in network.layers]
    write_json(context.out / PROGRAM, {
        "descriptors": len(network.descriptors), "issue_cycles": network.issue_cycles, "macs": network.macs,
        "stream_lines": network.stream_lines, "ring_lines": network.ring_lines, "resident": network.resident,
        "act_used": list(network.act_used), "acc_bits": network.acc_bits, "segments": network.segments,
        "payload_bytes": network.payload_beats * 16,
        "input_bytes": network.input.channels * network.input.height * network.input.width,
        "output_bytes": prod(network.output.shape) * (4 if network.output.kind == "raw" else 1),
        "transferred": {"input_bytes": network.input.bytes, "output_bytes": network.output_bytes},
        "scratch_bytes": network.scratch_bytes, "spilled_bytes": network.spilled_bytes,
        "encrypted": list(encrypted), "layers": layers,
        "predicted": {"cold": _timeline(prediction.cold), "steady": _timeline(prediction.steady),
                      "interval": round(together / engines)},
    })
    spilled = f"{network.spilled_bytes:,} bytes of feature maps spilled, " if network.spilled_bytes else ""
    return {"text": f"{len(network.descriptors)} descriptors, {network.stream_lines:,} weight lines, {spilled}"
                    f"predicted {prediction.cold.cycles:,} cycles cold, {prediction.steady.cycles:,} steady",
            "predicted_cold": prediction.cold.cycles, "predicted_steady": prediction.steady.cycles}


def compiled(results: Mapping[str, Path], request: BuildRequest) -> tuple[CompiledNetwork, tuple[str, ...]]:
    """The compiled network of a build and the nodes whose weights are encrypted; the same for the same inputs."""
    graph, config = load_graph(results["quantise"] / QUANTISED), load_config(results["search"])
    return compile_for(graph, config, request, model_source(request))


def compile_for(
    graph: Graph, config: AcceleratorConfig, request: BuildRequest, source: ModelSource
) -> tuple[CompiledNetwork, tuple[str, ...]]:
    """Compile with the request's choice of encrypted layers."""
    plain = compile_network(graph, config, CompileOptions(debug_dump=request.dump_layers))
    sizes = {layer.node: layer.lines * config.line_bytes for layer in plain.layers}
    encrypted = select_encrypted(_choice(request, source, graph), sizes)
    if set(encrypted) == set(sizes):
        return plain, encrypted
    options = CompileOptions(debug_dump=request.dump_layers, encrypt=frozenset(encrypted),
                             encrypt_program=bool(encrypted))
    return compile_network(graph, config, options), encrypted


def _choice(request: BuildRequest, source: ModelSource, graph: Graph) -> str | float | list[str]:
    """The request's selection, else the recipe's; names of float layers stand for all their nodes."""
    file = selection_path(request, source)
    if file is not None:
        selection = load_selection(file)
        weights = weights_hash(request, source)
        if selection.checkpoint and weights and selection.checkpoint != weights:
            raise HwgenError("was made for other weights", where=str(file),
                             hint="make the selection again with hwgen seal: importance depends on the weights")
        return list(selection.nodes_in(graph, str(file))) or "none"
    nodes = {n.origin: [] for n in graph.nodes if isinstance(n, QConv2d)}
    for n in graph.nodes:
        if isinstance(n, QConv2d):
            nodes[n.origin].append(n.name)
    text, spec = request.encrypt.strip(), source.encrypt
    if not text:
        if spec.select == "fraction":
            return float(spec.fraction or 0.0)
        if spec.select != "names":
            return spec.select
        names = list(spec.names)
    elif text in ("all", "none") or text.rstrip("%").replace(".", "", 1).isdigit():
        return text
    else:
        names = [name.strip() for name in text.split(",") if name.strip()]
    return [node for name in names for node in nodes.get(name, [name])]


def selection_path(request: BuildRequest, source: ModelSource) -> Path | None:
    """The selection file that the request (``@FILE``) or else the recipe names; None where neither does."""
    text, spec = request.encrypt.strip(), source.encrypt
    if text.startswith("@"):
        return Path(text[1:])
    if not text and spec.select == "file" and source.recipe is not None:
        return source.recipe.path.parent / spec.file
    return None


def _timeline(timeline: Timeline) -> dict[str, Any]:
    return {
        "cycles": timeline.cycles,
        "spans": [{"node": s.node, "start": round(s.start), "end": round(s.end), "issue": s.issue,
                   "wait_weights": round(s.wait_weights), "wait_other": round(s.wait_other)} for s in timeline.spans],
        "loaded": [[round(t), n] for t, n in timeline.loaded],
    }


def inputs(request: BuildRequest) -> dict[str, Any]:
    """Board memory, selection of encrypted layers, debug image."""
    source, board = model_source(request), load_board(request.board)
    file = selection_path(request, source)
    return {"encrypt": request.encrypt or str(source.encrypt),
            "selection": hash_file(file) if file is not None and file.is_file() else "", "dump": request.dump_layers,
            "memory": [board.bytes_per_cycle, board.latency_cycles]}


STEP = Step(
    name="compile", title="compiling", needs=("quantise", "search"), inputs=inputs, run=run,
    code=("hwgen.compiler", "hwgen.isa", "hwgen.cost", "hwgen.seal.select", "hwgen.seal.selection",
          "rtl_templates.engine.timing", "hwgen.pipeline.steps.compile"),
)
