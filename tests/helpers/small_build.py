"""A complete build of a very small network, with the Verilog left out, in a few seconds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from hwgen.pipeline.build import STEPS, finish
from hwgen.pipeline.request import BuildRequest
from hwgen.pipeline.runner import Run, StepEvent, run_pipeline
from hwgen.pipeline.saved import save_request
from hwgen.pipeline.step import Step, StepContext
from hwgen.pipeline.store import StepRecord


def small_onnx(path: Path, *, nan: bool = False, op: str = "Relu", batch: str | int = 1) -> Path:
    """conv 3->8, activation, global pool, fully connected 8->4 on 3x8x8."""
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(8, 3, 3, 3)).astype(np.float32)
    if nan:
        weight[0, 0, 0, 0] = np.nan
    matrix = rng.normal(size=(4, 8)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="conv", pads=[1, 1, 1, 1]),
        helper.make_node(op, ["c"], ["r"], name="activation"),
        helper.make_node("GlobalAveragePool", ["r"], ["p"], name="pool"),
        helper.make_node("Flatten", ["p"], ["f"], name="flatten"),
        helper.make_node("Gemm", ["f", "m"], ["y"], name="fc", transB=1),
    ]
    graph = helper.make_graph(
        nodes, "small", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 4])],
        [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(matrix, "m")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def without_verilog(steps: tuple[Step, ...] = STEPS) -> tuple[Step, ...]:
    """The build's steps with an empty module for the Verilog, which takes long to generate."""
    def run(context: StepContext) -> dict[str, Any]:
        (context.out / "hwgen_accelerator.v").write_text("module hwgen_accelerator;\nendmodule\n")
        return {"text": "an empty module"}

    return tuple(replace(s, run=run, code=()) if s.name == "rtl" else s for s in steps)


def build_small(folder: Path, events: list[tuple[str, str]] | None = None, **options: Any) -> dict[str, StepRecord]:
    """Build the small network for pynq-z2 without a proof into ``folder/build``."""
    model = folder / "small.onnx"
    if not model.exists():
        small_onnx(model)
    run_options = {k: options.pop(k) for k in ("first", "last") if k in options}
    values: dict[str, Any] = {"model": str(model), "board": "pynq-z2", "out": folder / "build", "prove": False}
    values |= options
    request = BuildRequest(**values)

    def observe(event: StepEvent) -> None:
        if events is not None:
            events.append((event.step.name, event.state))

    run = Run(cache=folder / "cache", observer=observe, changing=lambda: save_request(request),
              finished=lambda records: finish(request, records), **run_options)
    return run_pipeline(without_verilog(), request, run)
