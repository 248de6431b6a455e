"""Lowering keeps the function; fusion takes what it may and no more."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from hwgen.errors import HwgenError
from hwgen.frontend import from_torch
from hwgen.ir import nodes as ir
from hwgen.ir.execute import run_float
from hwgen.ir.nodes import Graph
from hwgen.passes.plan import plan
from hwgen.quantize.fuse import fuse
from hwgen.quantize.lower import lower

torch.set_num_threads(1)


class Net(nn.Module):
    """A forward function over three convolutions of equal shape and a classifier."""

    def __init__(self, function) -> None:
        super().__init__()
        self.a, self.b, self.c = (nn.Conv2d(6, 6, 3, padding=1) for _ in range(3))
        self.fc = nn.Linear(6 * 35, 4)
        self.function = function

    def forward(self, x):
        return self.function(self, x)


def graph_of(function) -> Graph:
    torch.manual_seed(1)
    return plan(from_torch(Net(function), (6, 7, 5), "net"))


def cat(*tensors):
    return torch.cat(tensors, 1)


FORMS = {
    "residual": lambda m, x: m.fc((m.b(m.a(x).relu()) + x).relu().flatten(1)),
    "three readers": lambda m, x: m.c(m.a(x) + (m.a(x).relu() + m.b(x))),
    "relu of a shared tensor": lambda m, x: m.c((y := m.a(x)).relu() + m.b(y)),
    "relu after max pool": lambda m, x: nn.functional.max_pool2d(m.a(x), 3, 2, 1).relu(),
    "relu after concat": lambda m, x: cat(m.a(x), m.b(x).relu()).relu(),
    "relu6 after concat of the input": lambda m, x: nn.functional.relu6(cat(m.a(x), x)),
    "relu after average": lambda m, x: nn.functional.avg_pool2d(m.a(x), 2).relu(),
    "relu of the input": lambda m, x: m.b(x.relu()),
    "add of itself": lambda m, x: m.b((y := m.a(x)) + y),
    "add of two pools": lambda m, x: nn.functional.max_pool2d(x, 3, 1, 1) + nn.functional.avg_pool2d(x, 3, 1, 1),
    "flattened relu": lambda m, x: m.fc(m.a(x).flatten(1).relu()),
    "output read twice": lambda m, x: (y := m.a(x)) + m.b(y.relu()),
    "conv output with relu": lambda m, x: m.a(x).relu(),
    "no convolution": lambda m, x: x.mean((2, 3)),
    "double relu": lambda m, x: m.b(m.a(x).relu().relu()),
}


@pytest.mark.parametrize("form", FORMS)
def test_same_function(form):
    graph = graph_of(FORMS[form])
    lowered = lower(graph).graph
    x = np.random.default_rng(0).normal(size=(3, 6, 7, 5)).astype(np.float32)
    before, after = run_float(graph, x)[graph.output], run_float(lowered, x)[lowered.output]
    np.testing.assert_allclose(after.reshape(before.shape), before, rtol=1e-4, atol=1e-5)
    assert not any(isinstance(n, ir.Flatten | ir.Linear | ir.GlobalAvgPool) for n in lowered.nodes)
    last = lowered[lowered.output]
    assert isinstance(last, ir.Conv2d) and not lowered.consumers(last.name)


def fused(form: str) -> dict[str, tuple[str, tuple[str, ...], str]]:
    return {f.name: (f.node.op, f.inputs, f.activation.value) for f in fuse(lower(graph_of(FORMS[form])).graph)}


def test_residual_and_relu_are_absorbed():
    assert fused("residual") == {
        "x": ("Input", (), "none"), "a": ("Conv2d", ("x",), "relu"), "b": ("Conv2d", ("relu", "x"), "relu"),
        "fc": ("Conv2d", ("relu_1",), "none"),
    }


def test_a_convolution_with_another_reader_is_not_absorbed():
    found = fused("relu of a shared tensor")
    assert found["a"][2] == "none" and found["relu.identity"] == ("Conv2d", ("a",), "relu")
    assert found["b"] == ("Conv2d", ("a", "relu"), "none")


def test_of_two_convolutions_the_longer_path_adds():
    found = fused("three readers")
    assert found["b"][0] == "Conv2d" and sum(op == "Add" for op, _, _ in found.values()) == 0
    assert len(found["a_1"][1]) + len(found["a"][1]) + len(found["b"][1]) == 5


def test_equal_operands_become_an_add():
    assert fused("add of itself")["add"] == ("Add", ("a", "a"), "none")


def test_relu_moves_before_pool_and_concat():
    found = fused("relu after max pool")
    assert found["a"][2] == "relu" and found["max_pool2d"][2] == "none" and found["output"][0] == "Conv2d"
    found = fused("relu after concat")
    assert found["a"][2] == "relu" and found["b"][2] == "relu"
    assert fused("relu after average")["avg_pool2d"][2] == "relu"
    found = fused("relu6 after concat of the input")
    assert found["a"][2] == "relu6" and found["relu6.1.identity"] == ("Conv2d", ("x",), "relu6")


def test_flattened_maps_of_different_sizes_are_refused():
    def mixed(m, x):
        y = nn.functional.max_pool2d(x, (7, 5))
        return torch.cat([y.flatten(1), m.a(x).flatten(1)], 1)

    message = r"(?s)cat: Concat of flattened maps of shapes \(6, 1, 1\), \(6, 7, 5\).*pool the maps"
    with pytest.raises(HwgenError, match=message):
        lower(graph_of(mixed))
