"""What the golden model says; computed here, before and apart from any simulation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwgen.errors import HwgenError
from hwgen.golden import quantise_input, run_all
from hwgen.ir.nodes import Graph, QInput


def integer_inputs(graph: Graph, pixels: np.ndarray) -> np.ndarray:
    """int8 network inputs [N, *input shape] of normalised images."""
    source = graph.input_node()
    assert isinstance(source, QInput)
    return np.stack([quantise_input(p, source.scale).reshape(source.shape) for p in pixels])


def expected_tensors(graph: Graph, inputs: np.ndarray, tensors: Sequence[str]) -> list[dict[str, np.ndarray]]:
    """Per frame: the output and every tensor of ``tensors``.

    Raises:
        HwgenError: two frames have equal outputs: they could not show that the hardware read its input.
    """
    values = run_all(graph, inputs, keep={graph.output, *tensors})
    frames = [{name: value[n] for name, value in values.items()} for n in range(len(inputs))]
    for a in range(len(frames)):
        for b in range(a):
            if np.array_equal(frames[a][graph.output], frames[b][graph.output]):
                raise HwgenError(f"frames {b} and {a} give equal outputs, so they prove nothing about the input",
                                 hint="choose other images (--seed)")
    return frames
