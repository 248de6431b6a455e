"""A tiny residual network on simulated radar chips, trained once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hwgen.armor.model import Model, load_model
from hwgen.data import Dataset, load_dataset
from hwgen.train import run
from hwgen.zoo import load_recipe
from tests.helpers.torch_threads import one_thread

__all__ = ["one_thread"]


RECIPE = """
name = "tiny"
description = "for tests"
[input]
shape = [1, 16, 16]
mean = [0.2]
std = [0.2]
dataset = "sar_simulated"
classes = ["a", "b", "c"]
[network]
builder = "resnet_cifar"
params = { stem = 8, channels = [8, 16], blocks = [1, 1], shortcut = "conv" }
[train]
batch = 24
phases = [{ epochs = 12 }]
optimizer = { peak = 0.1 }
robust = { epsilon = 4, step = 4, steps = 2 }
"""


@pytest.fixture(scope="session")
def recipe_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe with its trained checkpoint beside it."""
    folder = tmp_path_factory.mktemp("armor")
    path = folder / "tiny.toml"
    path.write_text(RECIPE)
    torch.set_num_threads(1)
    result = run(load_recipe(path), folder, folder / "train", display=False)
    (folder / "tiny.safetensors").write_bytes(result.checkpoint.read_bytes())
    path.write_text(RECIPE + '[weights]\nfile = "tiny.safetensors"\n')
    return path


@pytest.fixture
def model(recipe_file: Path) -> Model:
    return load_model(str(recipe_file))


@pytest.fixture
def chips(model: Model) -> Dataset:
    """Test images."""
    spec = model.recipe.input
    return load_dataset(spec.dataset, Path(), "test", spec.shape, spec.classes)
