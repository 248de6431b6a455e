"""Recipes: what is read, and what is said about wrong ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwgen.errors import HwgenError
from hwgen.zoo import list_recipes, load_recipe

GOOD = """
name = "tiny"
description = "for tests"
[input]
shape = [1, 8, 8]
mean = [0.5]
std = [0.25]
dataset = "shapes"
classes = ["disc", "square"]
[network]
builder = "resnet_cifar"
params = { stem = 4, channels = [4, 8], blocks = [1, 1], shortcut = "conv" }
[tt]
layers = [
    { name = "layer1.0.conv1", ranks = [2, 2] },
    { name = "layer2.0.conv2", grouping = "I|H|W|O", ranks = [2, 3, 4] },
]
[train]
phases = [{ epochs = 2, size = 6 }, { epochs = 1 }]
optimizer = { peak = 0.1 }
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "tiny.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_fields_and_defaults(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, GOOD))
    assert recipe.input.shape == (1, 8, 8)
    assert recipe.input.scale == 255.0
    assert [recipe.tt.form(layer).grouping for layer in recipe.tt.layers] == [("I", "HW", "O"), ("I", "H", "W", "O")]
    assert recipe.tt.execution_of(recipe.tt.layers[0]) == "auto"
    assert recipe.train is not None
    assert [phase.size for phase in recipe.train.phases] == [6, 0]
    assert recipe.encrypt.select == "all"
    assert recipe.checkpoint is None


def test_hash_ignores_texts_but_not_numbers(tmp_path: Path) -> None:
    base = load_recipe(write(tmp_path, GOOD)).sha256
    assert load_recipe(write(tmp_path, GOOD.replace("for tests", "for fun"))).sha256 == base
    assert load_recipe(write(tmp_path, GOOD.replace("ranks = [2, 2]", "ranks = [2, 3]"))).sha256 != base


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name =", "nane =", "unknown key 'nane'"),
        ("std = [0.25]\n", "", "input: key 'std' is missing"),
        ("std = [0.25]", "std = [0.25, 0.25]", "std must have 1 entries, not 2"),
        ("std = [0.25]", "std = [0.0]", "std must be positive"),
        ("shape = [1, 8, 8]", "shape = [1, 8]", "input.shape: must have 3 entries, not 2"),
        ("shape = [1, 8, 8]", 'shape = [1, 8, "8"]', r"input.shape\[2\]: must be int, not '8'"),
        ("peak = 0.1", "peak = true", "optimizer.peak: must be float, not True"),
        ("peak = 0.1", 'peak = 0.1, decay = "step"', "optimizer.decay: 'step' is not possible\n  allowed: 'linear'"),
        ("peak = 0.1", "peak = 0.1, speed = 1", "unknown key 'speed'\n  allowed: peak, momentum"),
        ("epochs = 2, size = 6", "epochs = 0", r"phases\[0\]: epochs must be positive, not 0"),
        ("ranks = [2, 2]", "ranks = [2]", r"TT ranks \[2\] do not fit the grouping 'I|HW|O'"),
        ("I|H|W|O", "I|O|H|W", "does not split the modes IHWO"),
        ("layer2.0.conv2", "layer1.0.conv1", "must not name a layer twice"),
        ("[tt]", '[encrypt]\nselect = "fraction"\n[tt]', "fraction must be given if, and only if"),
        ("[tt]", '[encrypt]\nselect = "file"\n[tt]', "file must be given if, and only if"),
        ("[tt]", "[encrypt]\nselect = 3\n[tt]", "encrypt.select: 3 is not possible"),
        ("[tt]", "[evaluation]\nint8 = 91.5\n[tt]", r"evaluation: int8 must be in \[0, 1\], not 91.5"),
        ("[tt]", "[tt", "is not valid TOML"),
        ("name =", "path = 'x'\nname =", "unknown key 'path'"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    path = write(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(HwgenError, match=message) as error:
        load_recipe(path)
    assert "tiny.toml" in str(error.value) or "TT " in message or "modes" in message


def test_unknown_model_offers_the_nearest() -> None:
    with pytest.raises(HwgenError, match="unknown model 'resnet18tt'") as error:
        load_recipe("resnet18tt")
    assert "did you mean resnet18_tt" in str(error.value)


def test_missing_file() -> None:
    with pytest.raises(HwgenError, match=r"recipe 'nowhere/x.toml' does not exist"):
        load_recipe("nowhere/x.toml")


def test_the_zoo_lists_its_models() -> None:
    assert {"aconvnet", "resnet18", "resnet18_tt", "resnet20"} <= set(list_recipes())
