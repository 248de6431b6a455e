"""Compiles and emulates a graph and compares every output with the golden model."""

from __future__ import annotations

import numpy as np

from hwgen.compiler import CompiledNetwork, CompileOptions, compile_network
from hwgen.config.accelerator import AcceleratorConfig
from hwgen.emulator import Machine
from hwgen.golden.execute import run_all
from hwgen.ir.nodes import Graph
from rtl_templates.engine.timing import pipeline_latency
from tests.helpers.buffers import pack_input, unpack_output


def config_for(p_i: int, p_o: int, **changes: object) -> AcceleratorConfig:
    """A small engine of the given array size."""
    values: dict[str, object] = {
        "p_i": p_i, "p_o": p_o, "acc_depth": 64, "acc_bits": 32, "act_words": 8192, "line_columns": 4,
        "weight_lines": 4096, "program_words": 4096}
    return AcceleratorConfig(**{**values, **changes})  # type: ignore[arg-type]


def machine_of(network: CompiledNetwork, latency: int | None = None) -> Machine:
    """Emulator loaded with the plaintext image."""
    segments = [chunk for run in network.runs for chunk in run.chunks()]
    return Machine(network.config, network.program, segments, latency=latency or pipeline_latency(network.config),
                   output_bytes=network.output_bytes, scratch_bytes=network.scratch_bytes)


def check(graph: Graph, config: AcceleratorConfig, images: np.ndarray, options: CompileOptions | None = None,
          ) -> CompiledNetwork:
    """Assert that emulated and golden outputs (and dumps) are equal for every image; later frames run warm."""
    network = compile_network(graph, config, options)
    machine = machine_of(network)
    expected = run_all(graph, images)
    for number, image in enumerate(images):
        frame = machine.frame(pack_input(network.input, image))
        for name, layout in ((graph.output, network.output), *network.dumps):
            got = unpack_output(layout, frame.output)
            wanted = expected[name][number].reshape(got.shape)
            assert got.dtype == wanted.dtype and np.array_equal(got, wanted), (
                f"{name}: {np.count_nonzero(got != wanted)} of {got.size} differ in frame {number}")
        assert frame.slots == sum(d.slots for d in network.descriptors)
    return network
