"""The victim is the golden model; the network read from storage is the same function in real numbers."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from hwgen.errors import HwgenError
from hwgen.golden import quantise_input, run
from hwgen.golden.evaluate import logits as golden_logits
from hwgen.ir.nodes import QInput, TTExecution
from hwgen.passes.plan import plan
from hwgen.pipeline.images import normalised
from hwgen.quantize import calibrate, quantise
from hwgen.ttseal.network import RealNetwork, logits_of
from hwgen.ttseal.victim import Victim
from hwgen.zoo.recipe import InputSpec
from tests.helpers.networks import residual_network
from tests.helpers.random_graphs import random_graph, random_image
from tests.helpers.toy_attack import SPEC, toy_graph, toy_images


def expected(victim: Victim, images: np.ndarray) -> np.ndarray:
    source = victim.graph.input_node()
    assert isinstance(source, QInput)
    integers = quantise_input(normalised(images, victim.spec), source.scale)
    return golden_logits(victim.graph, integers).reshape(len(images), -1)


@pytest.mark.parametrize("tt", [False, True])
def test_equals_the_golden_model(tt: bool) -> None:
    victim, images = Victim(toy_graph(tt=tt), SPEC), toy_images(20)
    assert np.array_equal(victim.logits(images), expected(victim, images))
    victim.check(images)


def test_equals_the_golden_model_with_kernels_contracted_on_the_chip() -> None:
    images = toy_images(8)
    graph = plan(residual_network((8, 16), 8, tt=True), default=TTExecution.RECONSTRUCT)
    victim = Victim(quantise(calibrate(graph, normalised(images, SPEC))), SPEC)
    assert np.array_equal(victim.logits(images), expected(victim, images))


@pytest.mark.parametrize("seed", range(12))
def test_every_operator_equals_the_golden_model(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, depth=6, most_channels=20)
    shape = graph.input_node().shape
    spec = InputSpec(shape=(shape[0], shape[1], shape[2]), mean=(0.5,) * shape[0], std=(0.25,) * shape[0],
                     dataset="none", classes=("a", "b"))
    integers = random_image(rng, graph, 3)
    found = Victim(graph, spec)._run(torch.from_numpy(integers.astype(np.float32)))
    assert np.array_equal(found.numpy(), run(graph, integers).reshape(3, -1))


def test_a_difference_is_noticed() -> None:
    victim, images = Victim(toy_graph(), SPEC), toy_images(4)
    weight, bias = victim._weights["stem"]
    victim._weights["stem"] = weight, bias + 100
    with pytest.raises(HwgenError, match="replica and the golden model differ"):
        victim.check(images)


def test_queries_are_counted() -> None:
    victim = Victim(toy_graph(), SPEC)
    assert victim.classes(toy_images(5)).shape == (5,)
    victim.logits(toy_images(3))
    assert victim.queries == 5


def test_the_network_read_from_storage_answers_like_the_victim() -> None:
    graph, images = toy_graph(), toy_images(64)
    victim = Victim(graph, SPEC)
    real = logits_of(RealNetwork(graph, SPEC), images)
    wanted = victim.logits(images)
    assert np.abs(real - wanted).mean() < 0.1 * wanted.std()
    assert len(set(wanted.argmax(1))) > 1


def test_only_hidden_kernels_are_fresh() -> None:
    graph = toy_graph()
    whole, part = RealNetwork(graph, SPEC), RealNetwork(graph, SPEC, ["b1.conv2.core1"], seed=3)
    for node in whole.position:
        same = np.array_equal(whole.convolution(node).weight.detach(), part.convolution(node).weight.detach())
        assert same == (node != "b1.conv2.core1")
    again = RealNetwork(graph, SPEC, ["b1.conv2.core1"], seed=3).convolution("b1.conv2.core1")
    assert np.array_equal(again.weight.detach(), part.convolution("b1.conv2.core1").weight.detach())


def test_unknown_node() -> None:
    with pytest.raises(HwgenError, match="no convolution 'nothing'"):
        RealNetwork(toy_graph(), SPEC, ["nothing"])


def test_images_of_another_shape() -> None:
    with pytest.raises(ValueError, match="images must be uint8"):
        Victim(toy_graph(), dataclasses.replace(SPEC, shape=(3, 9, 9))).classes(toy_images(1))
