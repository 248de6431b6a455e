"""The models that ship: their recipes are right, their checkpoints are theirs, the compression is what is promised."""

from __future__ import annotations

import hashlib

import pytest
import torch

from hwgen.armor.model import load_model
from hwgen.train.graph_module import GraphModule
from hwgen.ttseal.settings import settings_of
from hwgen.zoo import build_module, list_recipes, load_recipe, new_module
from hwgen.zoo.count import count_layers
from hwgen.zoo.mobilenet_v2 import MobileNetV2Params

#: models that are stored as a graph have no torch module of their own
STORED = [name for name in list_recipes() if load_recipe(name).network.builder == "graph"]


@pytest.mark.parametrize("name", list_recipes())
def test_recipe_builds_and_runs(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    module = (GraphModule(load_model(name).graph) if name in STORED else new_module(recipe)).eval()
    with torch.no_grad():
        outputs = module(torch.zeros(1, *recipe.input.shape))
    assert outputs.shape == (1, recipe.input.outputs)


@pytest.mark.parametrize("name", [name for name in list_recipes() if load_recipe(name).weights.file])
def test_checkpoint_is_the_recorded_one(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.checkpoint is not None
    content = recipe.checkpoint.read_bytes()
    assert hashlib.sha256(content).hexdigest() == recipe.weights.sha256
    assert recipe.weights.origin
    assert recipe.weights.licence
    assert recipe.evaluation.compressed is not None
    if name in STORED:
        return
    built = build_module(recipe)
    assert built.origin.metadata["model"] == name
    assert float(built.origin.metadata["accuracy"]) == pytest.approx(recipe.evaluation.compressed, abs=1e-4)


@pytest.mark.parametrize("name", [name for name in list_recipes() if load_recipe(name).encrypt.attack is not None])
def test_attackers_of_recipes_are_possible(name: str) -> None:
    attacker = load_recipe(name).encrypt.attack
    assert attacker is not None
    settings = settings_of(attacker)
    assert settings.importance_images
    assert settings.validation_images


def test_resnet18_tt_keeps_its_budget() -> None:
    dense, compressed = (
        count_layers(new_module(load_recipe(name)).eval(), (3, 32, 32)) for name in ("resnet18", "resnet18_tt")
    )
    macs = [sum(layer.macs for layer in counts.values()) for counts in (dense, compressed)]
    parameters = [sum(layer.parameters for layer in counts.values()) for counts in (dense, compressed)]
    assert macs == [555_422_720, 138_777_600]
    assert parameters == [11_169_162, 1_760_650]
    assert macs[0] / macs[1] >= 4
    assert parameters[0] / parameters[1] >= 5


def test_resnet18_tt_ranks_fill_the_array() -> None:
    recipe = load_recipe("resnet18_tt")
    assert all(rank % recipe.tt.rank_multiple == 0 for layer in recipe.tt.layers for rank in layer.ranks)
    assert recipe.checkpoint is not None
    assert recipe.checkpoint.stat().st_size < 4_400_000


@pytest.mark.parametrize(("dense", "compressed", "least"), [("vgg16", "vgg16_tt", 4.0),
                                                            ("resnet18_224", "resnet18_224_tt", 3.8)])
def test_seeded_trains_keep_their_ratio(dense: str, compressed: str, least: float) -> None:
    macs, parameters = [], []
    for name in (dense, compressed):
        recipe = load_recipe(name)
        counts = count_layers(new_module(recipe).eval(), recipe.input.shape).values()
        macs.append(sum(c.macs for c in counts))
        parameters.append(sum(c.parameters for c in counts))
        assert all(rank % recipe.tt.rank_multiple == 0 for layer in recipe.tt.layers for rank in layer.ranks)
    assert least < macs[0] / macs[1] < 1.1 * least and parameters[0] / parameters[1] > 6


def test_width_of_mobilenet_is_as_in_torchvision() -> None:
    narrow, wide = MobileNetV2Params(width=0.25), MobileNetV2Params(width=1.4)
    assert [narrow.scaled(c) for c in (16, 24, 32, 64, 96, 160, 320)] == [8, 8, 8, 16, 24, 40, 80]
    assert [wide.scaled(c) for c in (16, 24, 32, 320)] == [24, 32, 48, 448]
    counts = count_layers(new_module(load_recipe("mobilenet_sar")).eval(), (1, 64, 64)).values()
    assert 500_000 < sum(c.parameters for c in counts) < 600_000
