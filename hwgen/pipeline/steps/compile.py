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
from hwgen.cost.memory import MemoryModel
from hwgen.cost.timeline import Timeline, predict
from hwgen.cost.usage import layer_usages
from hwgen.ir.nodes import Graph
from hwgen.pipeline.encryption import SELECT_STEP, choice_inputs, chosen_nodes, selection_summary
from hwgen.pipeline.graphfile import load_graph
from hwgen.pipeline.request import BuildRequest
from hwgen.pipeline.source import ModelSource, model_source
from hwgen.pipeline.step import Step, StepContext
from hwgen.pipeline.steps.quantise import QUANTISED
from hwgen.pipeline.steps.search import load_config, load_system
from hwgen.pipeline.store import write_json
from hwgen.seal import select_encrypted
from hwgen.stream.compile import compile_pipeline
from hwgen.stream.predict import predict_pipeline

PROGRAM = "program.json"


def run(context: StepContext) -> dict[str, Any]:
    """Write the program's figures, layer by layer, and the predicted timeline."""
    network, encrypted = compiled(context.results, context.request)
    memory, engines = MemoryModel.of(load_board(context.request.board)), load_system(context.results["search"]).engines
    if network.config.pipeline is None:
        prediction = predict(network, memory)
        interval = round(predict(network, memory.share(engines)).steady.cycles / engines)
        usages = layer_usages(network, load_graph(context.results["quantise"] / QUANTISED))
        layers = [{**asdict(layer), "usage": asdict(usages[layer.node])} for layer in network.layers]
    else:
        pipelined = predict_pipeline(network, memory)
        prediction, interval = pipelined.frames, pipelined.interval
        layers = [{**asdict(layer), "usage": None} for layer in network.layers]
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
        "selection": selection_summary(context.request, model_source(context.request)),
        "predicted": {"cold": _timeline(prediction.cold), "steady": _timeline(prediction.steady),
                      "interval": interval},
    })
    protected = network.config.protect_activations
    spilled = "no feature map leaves the chip, none is encrypted, " if protected else ""
    if network.spilled_bytes:
        spilled = f"{network.spilled_bytes:,} bytes of feature maps spilled{' and encrypted' * protected}, "
    parts = f"{len(network.descriptors)} descriptors" if network.descriptors else f"{len(layers)} stages"
    apart = "" if network.config.pipeline is None else f", {interval:,} from frame to frame"
    return {"text": f"{parts}, {network.stream_lines:,} weight lines, {spilled}"
                    f"predicted {prediction.cold.cycles:,} cycles cold, {prediction.steady.cycles:,} steady{apart}",
            "predicted_cold": prediction.cold.cycles, "predicted_steady": prediction.steady.cycles}


def compiled(results: Mapping[str, Path], request: BuildRequest) -> tuple[CompiledNetwork, tuple[str, ...]]:
    """The compiled network of a build and the nodes whose weights are encrypted; the same for the same inputs."""
    graph, config = load_graph(results["quantise"] / QUANTISED), load_config(results["search"])
    return compile_for(graph, config, request, model_source(request))


def compile_for(
    graph: Graph, config: AcceleratorConfig, request: BuildRequest, source: ModelSource
) -> tuple[CompiledNetwork, tuple[str, ...]]:
    """Compile with the request's choice of encrypted layers. The program is encrypted with all of them only: whoever
    selects layers treats the architecture as known."""
    make = compile_network if config.pipeline is None else compile_pipeline
    plain = make(graph, config, CompileOptions(debug_dump=request.dump_layers))
    sizes = {layer.node: layer.lines * config.line_bytes for layer in plain.layers}
    encrypted = select_encrypted(chosen_nodes(request, source, graph), sizes)
    if set(encrypted) == set(sizes):
        return plain, encrypted
    options = CompileOptions(debug_dump=request.dump_layers, encrypt=frozenset(encrypted), encrypt_program=False)
    return make(graph, config, options), encrypted


def _timeline(timeline: Timeline) -> dict[str, Any]:
    return {
        "cycles": timeline.cycles,
        "spans": [{"node": s.node, "start": round(s.start), "end": round(s.end), "issue": s.issue,
                   "wait_weights": round(s.wait_weights), "wait_other": round(s.wait_other)} for s in timeline.spans],
        "loaded": [[round(t), n] for t, n in timeline.loaded],
    }


def inputs(request: BuildRequest) -> dict[str, Any]:
    """Board memory, selection of encrypted layers, debug image."""
    board = load_board(request.board)
    return {**choice_inputs(request), "dump": request.dump_layers,
            "memory": [board.bytes_per_cycle, board.latency_cycles]}


STEP = Step(
    name="compile", title="compiling", needs=("quantise", "search", SELECT_STEP), inputs=inputs, run=run,
    code=("hwgen.compiler", "hwgen.stream", "rtl_templates.stream", "hwgen.isa", "hwgen.cost", "hwgen.seal.select",
          "hwgen.seal.selection",
          "rtl_templates.engine.timing", "rtl_templates.crypto.timing", "hwgen.pipeline.encryption",
          "hwgen.pipeline.steps.compile"),
)
