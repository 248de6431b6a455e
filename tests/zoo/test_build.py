"""Modules from recipes: weights and where they come from, option-A shortcuts, wrong layers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from hwgen.errors import HwgenError
from hwgen.zoo import TTConv2d, build_module, decompose_into, load_recipe, new_module, save_checkpoint
from hwgen.zoo.recipe import NetworkSpec, Recipe, TtLayerSpec, TtSpec
from hwgen.zoo.registry import build_dense
from hwgen.zoo.resnet_cifar import identity_pad_conv


def small(tt: TtSpec | None = None) -> Recipe:
    """A recipe of the zoo with a tiny network and no checkpoint."""
    params = {"stem": 4, "channels": [4, 8], "blocks": [1, 1], "shortcut": "conv"}
    network = NetworkSpec(builder="resnet_cifar", params=params)
    return replace(load_recipe("resnet18"), network=network, tt=tt or TtSpec())


def test_seeded_weights_say_so_and_are_repeatable() -> None:
    first, second = build_module(small()), build_module(small())
    assert first.origin.kind == "seeded"
    assert "random weights (seed 0)" in first.origin.description
    assert not first.module.training
    for a, b in zip(first.module.state_dict().values(), second.module.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    other = build_module(small(), seed=1)
    assert not torch.equal(other.module.get_parameter("conv1.weight"), first.module.get_parameter("conv1.weight"))


def test_seeding_leaves_torchs_generator_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    new_module(small())
    assert torch.equal(torch.rand(1), expected)


def test_seeded_statistics_keep_activations_sane() -> None:
    module = build_module(small()).module
    statistics = [layer.running_var for layer in module.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert all(var is not None and bool((var != 1).all()) for var in statistics)
    with torch.no_grad():
        outputs = module(torch.randn(16, 3, 32, 32))
    assert 0.01 < float(outputs.std()) < 10


def test_user_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    source = new_module(small(), seed=3)
    save_checkpoint(path, source, {"accuracy": "0.5"})
    built = build_module(small(), path)
    assert built.origin.kind == "user"
    assert built.origin.metadata == {"accuracy": "0.5"}
    with pytest.raises(HwgenError, match=r"tensor 'bn1\.bias' has shape"):
        build_module(load_recipe("resnet18"), path)


def test_shipped_file() -> None:
    built = build_module(load_recipe("resnet20"))
    assert built.origin.kind == "trained"
    assert "akamaster" in built.origin.description


@pytest.mark.parametrize("channels", [(16, 32), (3, 8)])
def test_option_a_is_subsampling_and_zero_padding(channels: tuple[int, int]) -> None:
    conv = identity_pad_conv(*channels, stride=2)
    x = torch.randn(2, channels[0], 8, 8)
    before = (channels[1] - channels[0]) // 2
    after = channels[1] - channels[0] - before
    assert torch.equal(conv(x), functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, before, after)))
    assert not conv.weight.requires_grad


def test_option_a_survives_initialisation() -> None:
    module = new_module(load_recipe("resnet20"))
    weights = module.get_parameter("layer2.0.shortcut.0.weight")
    assert set(weights.flatten().tolist()) == {0.0, 1.0}


def test_decomposition_at_full_rank_keeps_the_function() -> None:
    layers = (TtLayerSpec(name="layer1.0.conv1", ranks=(4, 4)), TtLayerSpec(name="layer2.0.conv1", ranks=(4, 8)))
    student, teacher = new_module(small(TtSpec(layers=layers)), seed=1), build_module(small()).module
    errors = decompose_into(student, teacher)
    assert list(errors) == ["layer1.0.conv1", "layer2.0.conv1"]
    assert max(errors.values()) < 1e-6
    x = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(student.eval()(x), teacher(x), rtol=1e-4, atol=1e-4)


def test_layers_that_are_no_convolutions() -> None:
    spec = TtSpec(layers=(TtLayerSpec(name="layer9.conv", ranks=(4, 4)),))
    with pytest.raises(HwgenError, match=r"no convolution 'layer9.conv'\n  allowed: conv1, layer1.0.conv1"):
        new_module(small(spec))


def test_wrong_builders_and_parameters() -> None:
    recipe = small()
    with pytest.raises(HwgenError, match="unknown builder 'alexnet'\n  allowed: aconvnet, mobilenet_v2, "):
        build_dense(replace(recipe, network=NetworkSpec(builder="alexnet")))
    wrong = NetworkSpec(builder="resnet_cifar", params={**recipe.network.params, "blocks": [1]})
    with pytest.raises(HwgenError, match=r"network\.params: blocks must have one entry per stage"):
        build_dense(replace(recipe, network=wrong))


def test_tt_layers_are_where_the_recipe_says() -> None:
    recipe = load_recipe("resnet18_tt")
    found = [name for name, layer in new_module(recipe).named_modules() if isinstance(layer, TTConv2d)]
    assert found == [layer.name for layer in recipe.tt.layers]
