"""BatchNorm folding keeps the function and removes every BatchNorm."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import nn

from hwgen.frontend import from_torch
from hwgen.ir import nodes as ir
from hwgen.ir.execute import run_float
from hwgen.passes.fold_batchnorm import fold_batchnorm
from hwgen.passes.tensor_train import forms_by_rank, tensor_train

torch.set_num_threads(1)


class Net(nn.Module):
    """BatchNorm after a convolution, after another BatchNorm, after a ReLU, after a shared tensor and after Linear."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1, self.bn1b = nn.Conv2d(3, 16, 3, bias=False), nn.BatchNorm2d(16), nn.BatchNorm2d(16)
        self.bn2, self.conv2, self.bn3 = nn.BatchNorm2d(16), nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16)
        self.fc1, self.bn4, self.bn5, self.fc2 = nn.Linear(16, 6), nn.BatchNorm1d(6), nn.BatchNorm1d(6), nn.Linear(6, 3)

    def forward(self, x):
        x = self.bn1b(self.bn1(self.conv1(x))).relu()
        x = self.bn2(x).relu()
        shared = self.conv2(x)
        x = (self.bn3(shared) + shared).mean((2, 3))
        return self.fc2(self.bn5(self.bn4(self.fc1(x)).relu()))


def graph_of(seed: int = 0) -> ir.Graph:
    torch.manual_seed(seed)
    module = Net()
    for buffer in (*module.parameters(), *module.buffers()):
        if buffer.is_floating_point() and buffer.ndim == 1:
            buffer.data = torch.rand(buffer.shape) + 0.2
    return from_torch(module, (3, 8, 8), "net")


def test_same_function_without_batchnorm():
    graph = graph_of()
    folded = fold_batchnorm(graph)
    assert not any(isinstance(n, ir.BatchNorm) for n in folded.nodes)
    x = np.random.default_rng(0).normal(size=(4, 3, 8, 8)).astype(np.float32)
    before, after = (run_float(g, x)[g.output] for g in (graph, folded))
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-5)
    # bn1, bn1b and bn4 vanish into their layers; bn2, bn3 and bn5 follow a ReLU or a shared tensor
    assert [n.name for n in folded.nodes if n.name.startswith("bn")] == ["bn2", "bn3", "bn5"]


def test_folds_into_the_last_core():
    graph = graph_of()
    train = tensor_train(graph, forms_by_rank(graph, 12, layers=["conv1", "conv2", "fc1"])).graph
    folded = fold_batchnorm(train)
    x = np.random.default_rng(0).normal(size=(4, 3, 8, 8)).astype(np.float32)
    before, after = (run_float(g, x)[g.output] for g in (train, folded))
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-4)
    assert isinstance(folded["conv1"], ir.TTConv2d) and isinstance(folded["fc1"], ir.TTLinear)


def test_batchnorm_as_output():
    graph = graph_of()
    short = dataclasses.replace(graph, nodes=graph.nodes[:3], output="bn1")
    folded = fold_batchnorm(short)
    assert folded.output == "conv1" and len(folded.nodes) == 2
