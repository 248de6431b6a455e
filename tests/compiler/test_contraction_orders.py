"""Every contraction order of a tensor train: golden model and compiled program agree in every bit."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from hwgen.golden.execute import quantise_input
from hwgen.ir import nodes as ir
from hwgen.ir.nodes import Graph, QConv2d, QInput, ReconstructedKernel
from hwgen.passes.plan import TTChoice, candidates, plan
from hwgen.quantize import calibrate, quantise
from tests.helpers.emulate import check, config_for

#: modes of the train's kernel; ranks that are no multiples of an activation word
SIZES = {"I": 12, "H": 3, "W": 2, "O": 20}
RANKS = {"I|HW|O": (10, 9), "I|H|W|O": (10, 12, 9), "IH|WO": (11,)}


@functools.cache
def network(grouping: str) -> Graph:
    """Stem, a TT layer of stride 2 with a residual-free ReLU, global pool, classifier."""
    rng = np.random.default_rng(3)

    def array(*shape: int) -> np.ndarray:
        return (rng.normal(size=shape) * (2 / np.prod(shape[1:])) ** 0.5).astype(np.float32)

    groups = tuple(grouping.split("|"))
    bounds = (1, *RANKS[grouping], 1)
    cores = tuple(rng.normal(size=(bounds[k], *(SIZES[m] for m in group), bounds[k + 1])).astype(np.float32)
                  for k, group in enumerate(groups))
    nodes: tuple[ir.Node, ...] = (
        ir.Input(name="x", inputs=(), shape=(3, 9, 8)),
        ir.Conv2d(name="stem", inputs=("x",), shape=(12, 9, 8), weight=array(12, 3, 3, 3), bias=array(12),
                  padding=(1, 1, 1, 1)),
        ir.Relu(name="stem.relu", inputs=("stem",), shape=(12, 9, 8)),
        ir.TTConv2d(name="tt", inputs=("stem.relu",), shape=(20, 5, 8), cores=cores, grouping=groups, bias=array(20),
                    stride=(2, 1), padding=(1, 1, 0, 1)),
        ir.Relu(name="tt.relu", inputs=("tt",), shape=(20, 5, 8)),
        ir.GlobalAvgPool(name="pool", inputs=("tt.relu",), shape=(20, 1, 1)),
        ir.Flatten(name="flat", inputs=("pool",), shape=(20,)),
        ir.Linear(name="fc", inputs=("flat",), shape=(6,), weight=array(6, 20), bias=array(6)),
    )
    return Graph(name="orders", nodes=nodes, output="fc")


def orders() -> list[tuple[str, TTChoice]]:
    found = []
    for grouping in RANKS:
        node = network(grouping)["tt"]
        assert isinstance(node, ir.TTConv2d)
        found += [(grouping, choice) for choice in candidates(node)]
    return found


@pytest.mark.parametrize(("grouping", "choice"), orders())
@pytest.mark.parametrize("size", [(8, 16), (8, 8)], ids=str)
def test_golden_and_program_agree(grouping: str, choice: TTChoice, size: tuple[int, int]) -> None:
    graph = network(grouping)
    images = np.random.default_rng(4).normal(size=(8, 3, 9, 8)).astype(np.float32)
    quantised = quantise(calibrate(plan(graph, {"tt": choice}), images, "minmax"))
    source = quantised.input_node()
    assert isinstance(source, QInput)
    check(quantised, config_for(*size), quantise_input(images[:2], source.scale))
    on_chip = [n for n in quantised.nodes if isinstance(n, QConv2d) and isinstance(n.weight, ReconstructedKernel)]
    node = graph["tt"]
    assert isinstance(node, ir.TTConv2d)
    assert len(on_chip) == sum("+" in part for part in choice.order(node).split("|"))
