"""Compressed networks train on: the module computes what the graph says, and accuracy comes back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from hwgen.errors import HwgenError
from hwgen.frontend.torch_frontend import from_torch
from hwgen.ir.execute import run_float
from hwgen.ir.nodes import Graph, TTConv2d
from hwgen.passes.fold_batchnorm import fold_batchnorm
from hwgen.passes.prune_channels import prune_channels
from hwgen.passes.tensor_train import forms_by_rank, tensor_train
from hwgen.pipeline.graphfile import load_graph, save_graph
from hwgen.train import fine_tune, run
from hwgen.train.graph_module import GraphModule
from hwgen.zoo import build_module, load_recipe

RECIPE = """
name = "tiny"
description = "for tests"
[input]
shape = [1, 12, 12]
mean = [0.5]
std = [0.25]
dataset = "shapes"
classes = ["bars", "rows"]
[network]
builder = "resnet_cifar"
params = { stem = 16, channels = [16, 32], blocks = [1, 1], shortcut = "conv" }
[train]
batch = 16
phases = [{ epochs = 3 }]
optimizer = { peak = 0.1 }
"""


def compressed(recipe_path: Path, weights: Path | None = None) -> Graph:
    """Pruned and decomposed."""
    recipe = load_recipe(recipe_path)
    graph = fold_batchnorm(from_torch(build_module(recipe, weights).module, recipe.input.shape))
    graph = prune_channels(graph, 0.5, 4).graph
    return tensor_train(graph, forms_by_rank(graph, 4)).graph


@pytest.fixture
def recipe_path(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(RECIPE)
    return path


def test_module_computes_what_the_graph_computes(recipe_path: Path) -> None:
    graph = compressed(recipe_path)
    assert any(isinstance(node, TTConv2d) for node in graph.nodes)
    images = np.random.default_rng(0).normal(size=(3, 1, 12, 12)).astype(np.float32)
    module = GraphModule(graph)
    with torch.no_grad():
        outputs = module(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(outputs, run_float(graph, images)[graph.output], rtol=1e-4, atol=1e-5)
    for parameter in module.parameters():
        with torch.no_grad():
            parameter.mul_(1.25)
    changed = module.to_graph()
    with torch.no_grad():
        outputs = module(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(outputs, run_float(changed, images)[graph.output], rtol=1e-4, atol=1e-4)


def test_accuracy_comes_back(tmp_path: Path, data: Path, recipe_path: Path) -> None:
    trained = run(load_recipe(recipe_path), data, tmp_path / "dense", display=False)
    assert trained.accuracy > 0.9
    small = tmp_path / "small.safetensors"
    save_graph(compressed(recipe_path, trained.checkpoint), small, recipe=str(recipe_path))
    result = fine_tune(small, data, tmp_path / "tuned", epochs=6, peak=0.05, display=False)
    events = [json.loads(line) for line in result.log.read_text().splitlines()]
    before = next(e["accuracy"] for e in events if e["event"] == "before")
    assert before < 0.9 < result.accuracy
    assert result.images == 32
    shapes = [[core.shape for core in node.cores] for node in load_graph(result.checkpoint).nodes
              if isinstance(node, TTConv2d)]
    assert shapes == [[core.shape for core in node.cores] for node in load_graph(small).nodes
                      if isinstance(node, TTConv2d)]
    again = fine_tune(small, data, tmp_path / "again", epochs=6, peak=0.05, display=False)
    assert again.checkpoint.read_bytes() == result.checkpoint.read_bytes()


def test_what_cannot_be_fine_tuned_is_refused(tmp_path: Path, data: Path, recipe_path: Path) -> None:
    graph = compressed(recipe_path)
    small = tmp_path / "small.safetensors"
    save_graph(graph, small)
    with pytest.raises(HwgenError, match="not made from a recipe"):
        fine_tune(small, data, tmp_path / "out", display=False)
    save_graph(graph, small, recipe=str(recipe_path))
    with pytest.raises(HwgenError, match="would replace"):
        fine_tune(small, data, tmp_path, display=False)
    with pytest.raises(HwgenError, match="0 is not possible"):
        fine_tune(small, data, tmp_path / "out", epochs=0, display=False)
    assert not (tmp_path / "out").exists()
