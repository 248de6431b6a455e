"""BatchNorm put back: the same function, statistics of the images, and folded again to what it was."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from hwgen.frontend.torch_frontend import from_torch
from hwgen.ir import nodes as ir
from hwgen.ir.execute import evaluate_node, run_float
from hwgen.ir.nodes import Graph
from hwgen.ir.walk import walk
from hwgen.passes.fold_batchnorm import fold_batchnorm
from hwgen.passes.rewrite import rebuild
from hwgen.train.graph_module import GraphModule
from hwgen.train.renormalise import EPSILON, classifiers, insert_batchnorm
from hwgen.zoo import build_module, load_recipe
from tests.helpers.networks import residual_network
from tests.train.test_fine_tune import RECIPE


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).normal(0.3, 1.5, size=(24, 3, 8, 8)).astype(np.float32)


@pytest.fixture(scope="module", params=[False, True], ids=["dense", "trains"])
def graph(request: pytest.FixtureRequest) -> Graph:
    return fold_batchnorm(residual_network((8, 16), 8, tt=request.param))


def batches(images: np.ndarray) -> Iterator[Tensor]:
    return (torch.from_numpy(images[i:i + 10]) for i in range(0, len(images), 10))


def tensors(graph: Graph, images: np.ndarray) -> dict[str, np.ndarray]:
    """Every node's."""
    def compute(node: ir.Node, inputs: list[Tensor]) -> Tensor:
        return torch.from_numpy(images) if isinstance(node, ir.Input) else evaluate_node(node, inputs)

    return {node.name: value.numpy() for node, value in walk(graph, compute)}


def norms(graph: Graph) -> dict[str, ir.BatchNorm]:
    return {n.inputs[0]: n for n in graph.nodes if isinstance(n, ir.BatchNorm)}


def test_the_function_stays(graph: Graph, images: np.ndarray) -> None:
    found = insert_batchnorm(graph, batches(images))
    convolutions = [n.name for n in graph.nodes if isinstance(n, ir.Conv2d | ir.TTConv2d)]
    assert set(norms(found)) == set(convolutions) - classifiers(graph)
    before, after = run_float(graph, images), run_float(found, images)
    np.testing.assert_allclose(after[found.output], before[graph.output], rtol=1e-4, atol=1e-4)
    again = fold_batchnorm(found)
    assert [n.name for n in again.nodes] == [n.name for n in graph.nodes]
    np.testing.assert_allclose(run_float(again, images)[again.output], before[graph.output], rtol=1e-4, atol=1e-4)


def test_statistics_are_those_of_the_images(graph: Graph, images: np.ndarray) -> None:
    """So that the network in training mode computes the same with a batch of them."""
    found = insert_batchnorm(graph, batches(images))
    values = tensors(found, images)
    for source, norm in norms(found).items():
        maps = values[source].astype(np.float64).transpose(1, 0, 2, 3).reshape(len(norm.mean), -1)
        np.testing.assert_allclose(norm.mean, maps.mean(axis=1), atol=1e-3)
        np.testing.assert_allclose(norm.var, maps.var(axis=1), rtol=1e-3)
        assert np.all(norm.var[norm.var > 0.5] <= 1 + EPSILON)
    module = GraphModule(found)
    with torch.no_grad():
        trained = module.train()(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(trained, values[found.output], rtol=1e-2, atol=1e-2)


def test_a_constant_channel_stays_finite() -> None:
    """A dead kernel has no spread to divide by."""
    graph = residual_network((8, 16), 8)
    first = next(n for n in graph.nodes if isinstance(n, ir.Conv2d))
    weight = first.weight * (np.arange(len(first.weight)) != 2)[:, None, None, None]
    graph = rebuild(graph, [dataclasses.replace(n, weight=weight) if n is first else n for n in graph.nodes])
    images = np.random.default_rng(1).normal(size=(8, 3, 8, 8)).astype(np.float32)
    found = insert_batchnorm(graph, batches(images))
    output = run_float(found, images)[found.output]
    assert np.isfinite(output).all()
    np.testing.assert_allclose(output, run_float(graph, images)[graph.output], rtol=1e-4, atol=1e-4)


def test_training_moves_statistics_evaluation_does_not(graph: Graph, images: np.ndarray) -> None:
    found = insert_batchnorm(graph, batches(images))
    module, x = GraphModule(found), torch.from_numpy(images) * 2
    with torch.no_grad():
        module.eval()(x)
        still = module.to_graph()
        module.train()(x)
    moved = module.to_graph()
    for source, norm in norms(found).items():
        np.testing.assert_array_equal(norms(still)[source].var, norm.var)
    # the first BatchNorm hides from the others that the images are larger
    first = norms(found)["stem"]
    np.testing.assert_allclose(norms(moved)["stem"].mean, 0.9 * first.mean + 0.1 * 2 * first.mean, rtol=1e-3, atol=1e-3)
    assert np.all(norms(moved)["stem"].var > 1.2)
    np.testing.assert_allclose(
        run_float(moved, images)[moved.output], module.eval()(torch.from_numpy(images)).detach().numpy(),
        rtol=1e-4, atol=1e-4)


def test_torch_trains_the_same_network(tmp_path: Path) -> None:
    """A module of torch and the graph read from it: equal outputs and running statistics in training mode."""
    (tmp_path / "tiny.toml").write_text(RECIPE)
    recipe = load_recipe(tmp_path / "tiny.toml")
    theirs = build_module(recipe).module
    ours = GraphModule(from_torch(theirs, recipe.input.shape))
    x = torch.randn(16, *recipe.input.shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        np.testing.assert_allclose(ours.train()(x).numpy(), theirs.train()(x).numpy(), rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(ours.eval()(x).numpy(), theirs.eval()(x).numpy(), rtol=1e-4, atol=1e-4)


def test_the_classifier_is_what_the_output_is_reached_from(graph: Graph) -> None:
    last = [n for n in graph.nodes if isinstance(n, ir.Conv2d | ir.TTConv2d | ir.Linear | ir.TTLinear)][-1]
    assert classifiers(graph) == {last.name}


def test_a_convolution_that_makes_the_logits_stays_alone() -> None:
    """Also behind an average."""
    shape = (4, 6, 6)
    source = ir.Input(name="x", inputs=(), shape=shape)
    rng = np.random.default_rng(0)

    def conv(name: str, reads: str) -> ir.Conv2d:
        weight = rng.normal(size=(4, 4, 1, 1)).astype(np.float32)
        return ir.Conv2d(name=name, inputs=(reads,), shape=shape, weight=weight, bias=np.zeros(4, np.float32))

    relu = ir.Relu(name="relu", inputs=("a",), shape=shape)
    pool = ir.GlobalAvgPool(name="pool", inputs=("b",), shape=(4, 1, 1))
    graph = Graph(name="net", nodes=(source, conv("a", "x"), relu, conv("b", "relu"), pool), output="pool")
    found = insert_batchnorm(graph, [torch.randn(8, *shape)])
    assert set(norms(found)) == {"a"}
    assert found["relu"].inputs == ("a/batchnorm",)
