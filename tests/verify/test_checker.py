"""The checker is checked: what is equal passes, and one bit anywhere is found."""

from __future__ import annotations

import numpy as np
import pytest

from hwgen.compiler.compile import compile_network
from hwgen.config.accelerator import AcceleratorConfig
from hwgen.errors import HwgenError
from hwgen.isa.layout import LoadKind
from hwgen.verify.compare import compare
from hwgen.verify.expected import expected_tensors, integer_inputs
from hwgen.verify.mutate import flip_descriptor_bit, flip_result_bit, flip_weight_bit
from tests.helpers.networks import quantised, residual_network


def test_equal_tensors() -> None:
    frames = [{"y": np.arange(10, dtype=np.int32)}, {"y": np.arange(10, dtype=np.int32) + 1}]
    found = compare(frames, frames)
    assert (found.elements, found.mismatches, found.first) == (20, 0, "")


def test_shapes_do_not_matter_values_do() -> None:
    tensor = np.arange(12, dtype=np.int8)
    assert compare([{"y": tensor}], [{"y": tensor.reshape(3, 2, 2)}]).mismatches == 0
    changed = tensor.copy()
    changed[7] += 1
    found = compare([{"y": tensor.reshape(3, 2, 2)}], [{"y": changed}])
    assert found.mismatches == 1
    assert found.first == "frame 0, y[1, 1, 1]: expected 7, hardware 8"


def test_missing_and_short_tensors_count_in_full() -> None:
    want = [{"y": np.zeros(5, np.int8), "z": np.zeros(3, np.int8)}]
    assert compare(want, [{"y": np.zeros(4, np.int8)}]).mismatches == 8


def test_a_missing_frame_is_an_error() -> None:
    with pytest.raises(ValueError, match="zip"):
        compare([{"y": np.zeros(1)}], [])


def test_every_result_bit_is_seen() -> None:
    tensor = np.array([5, -5], np.int32)
    for bit in range(31):
        assert compare([{"y": tensor}], [{"y": flip_result_bit(tensor, bit)}]).mismatches == 1


def test_equal_frames_are_refused() -> None:
    graph = quantised(residual_network((16,), 8))
    pixels = np.random.default_rng(0).normal(size=(1, 3, 8, 8)).astype(np.float32)
    inputs = integer_inputs(graph, np.concatenate([pixels, pixels]))
    with pytest.raises(HwgenError, match="frames 0 and 1 give equal outputs"):
        expected_tensors(graph, inputs, [])


def test_mutations_change_exactly_one_bit() -> None:
    network = compile_network(quantised(residual_network((16,), 8)), AcceleratorConfig(p_i=8, p_o=16))
    for changed in (flip_weight_bit(network), flip_descriptor_bit(network)):
        bits = 0
        for before, after in zip(network.runs, changed.runs, strict=True):
            a, b = (np.frombuffer(r.payload, np.uint8) for r in (before, after))
            bits += int(np.unpackbits(a ^ b).sum())
        assert bits == 1
    weight_runs = [r for r in network.runs if r.kind == LoadKind.WEIGHTS]
    assert weight_runs
