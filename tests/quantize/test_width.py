"""The width of accumulators that the search takes, against the exact one of the integer network."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hwgen.ir import nodes as ir
from hwgen.ir.nodes import Graph, TTExecution
from hwgen.passes.plan import TTChoice, candidates, plan
from hwgen.quantize import calibrate, quantise
from hwgen.quantize.bounds import required_acc_bits
from hwgen.quantize.quantize import BIAS_LIMIT
from hwgen.quantize.width import accumulator_bits
from tests.helpers.networks import quantised, residual_network


def classifier(inputs: int, *, bias: float = 0.0, spread: float = 0.0, seed: int = 0) -> Graph:
    """One fully connected layer; ``spread`` 0: all weights equally large, the worst case."""
    rng = np.random.default_rng(seed)
    weight = rng.choice([-1.0, 1.0], (4, inputs)) * (1 - spread * rng.random((4, inputs)))
    return Graph(name="classifier", output="fc", nodes=(
        ir.Input(name="x", inputs=(), shape=(inputs, 1, 1)),
        ir.Flatten(name="flat", inputs=("x",), shape=(inputs,)),
        ir.Linear(name="fc", inputs=("flat",), shape=(4,), weight=weight.astype(np.float32),
                  bias=np.full(4, bias, np.float32))))


@pytest.mark.parametrize("inputs", [100, 4127, 4128, 8256, 25088])
def test_equally_large_weights_give_the_exact_width(inputs: int) -> None:
    graph = classifier(inputs)
    assert accumulator_bits(graph, at_least=16) == required_acc_bits(quantised(graph))
    assert accumulator_bits(graph, at_least=16) == (128 * 127 * inputs).bit_length() + 1


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_sure_whatever_calibration_finds(seed: int, scale: float) -> None:
    """Activation ranges from tiny to huge: small ones make large biases."""
    graph = residual_network((16, 24), 8, seed=seed)
    rng = np.random.default_rng(seed)
    nodes = [dataclasses.replace(n, bias=rng.normal(size=n.bias.shape).astype(np.float32))
             if isinstance(n, ir.Conv2d | ir.Linear) else n for n in graph.nodes]
    graph = dataclasses.replace(graph, nodes=tuple(nodes))
    images = (scale * rng.normal(size=(4, 3, 8, 8))).astype(np.float32)
    exact = required_acc_bits(quantise(calibrate(plan(graph), images, "minmax")))
    found = accumulator_bits(graph, at_least=16)
    assert exact <= found <= max(exact, int(BIAS_LIMIT).bit_length() + 1) + 1


def test_sure_for_every_execution_of_a_tensor_train() -> None:
    graph = residual_network((64, 96), 8, tt=True)
    found = accumulator_bits(graph, at_least=16)
    images = np.random.default_rng(1).normal(size=(4, 3, 8, 8)).astype(np.float32)
    trains = [n for n in graph.nodes if isinstance(n, ir.TTConv2d)]
    every = []
    for choice in candidates(trains[0]):
        network = quantise(calibrate(plan(graph, dict.fromkeys([t.name for t in trains], choice)), images, "minmax"))
        every.append(required_acc_bits(network))
    assert len(every) == 9 and max(every) <= found <= max(every) + 1
    fixed = plan(graph, {t.name: TTChoice(TTExecution.RECONSTRUCT) for t in trains})
    exact = required_acc_bits(quantise(calibrate(fixed, images, "minmax")))
    assert exact <= accumulator_bits(fixed, at_least=16) <= found


def test_at_least() -> None:
    assert accumulator_bits(classifier(100), at_least=27) == 27
    assert accumulator_bits(classifier(25088), at_least=27) == 30
    assert accumulator_bits(classifier(100, bias=1.0), at_least=16) == int(BIAS_LIMIT).bit_length() + 1
