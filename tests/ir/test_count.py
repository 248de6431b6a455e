"""Counts against arithmetic by hand and against the quantised form of the same network."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from hwgen.frontend import from_torch
from hwgen.ir.count import count, count_layers
from hwgen.ir.nodes import TTExecution
from hwgen.passes.plan import plan
from hwgen.passes.tensor_train import forms_by_rank, tensor_train
from hwgen.quantize import calibrate, quantise
from hwgen.zoo.resnet_cifar import ResNetCifar, ResNetCifarParams

torch.set_num_threads(1)


def test_resnet18_of_32x32_images():
    params = ResNetCifarParams(stem=64, channels=(64, 128, 256, 512), blocks=(2, 2, 2, 2), shortcut="conv")
    totals = count(from_torch(ResNetCifar((3, 32, 32), 10, params), (3, 32, 32)))
    assert totals.macs == 555_422_720  # the published 0.56 G of the 32x32 network
    assert totals.parameters == 11_173_962 - 4_800  # published with two BatchNorm parameters a channel, here one bias


def test_chain_counts_and_the_quantised_form_agree():
    torch.manual_seed(0)
    graph = from_torch(nn.Sequential(nn.Conv2d(12, 16, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(),
                                     nn.Linear(16 * 25, 7)), (12, 9, 9))
    x = np.random.default_rng(0).normal(size=(4, 12, 9, 9)).astype(np.float32)
    forms = forms_by_rank(graph, 4, ["I", "H", "W", "O"], layers=["0"])
    train = tensor_train(graph, forms | forms_by_rank(graph, 5, layers=["3"])).graph
    first, second = count_layers(train)
    #   1x1 at 9x9, 3x1 to 5x9, 1x3 to 5x5, 1x1 at 5x5
    assert first.macs == 12 * 4 * 81 + 4 * 4 * 3 * 45 + 4 * 4 * 3 * 25 + 4 * 16 * 25
    assert first.parameters == 12 * 4 + 2 * 4 * 4 * 3 + 4 * 16 + 16
    assert first.dense_macs == 12 * 16 * 9 * 25 and first.dense_parameters == 12 * 16 * 9 + 16
    assert second.macs == 400 * 5 + 5 * 7 and second.dense_macs == 400 * 7
    for execution in (TTExecution.CHAIN, TTExecution.RECONSTRUCT):
        planned = plan(train, default=execution)
        quantised = quantise(calibrate(planned, x, "minmax"))
        assert count(quantised).macs == count(planned).macs
        assert count(quantised).parameters == count(planned).parameters


def test_strided_1x1_trains_stride_in_their_first_core():
    graph = from_torch(nn.Sequential(nn.Conv2d(16, 16, 1, stride=2)), (16, 8, 8))
    train = tensor_train(graph, forms_by_rank(graph, 4, layers=["0"])).graph
    assert count(train).macs == 16 * (16 * 4 + 4 * 4 + 4 * 16)
