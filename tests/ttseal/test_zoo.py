"""The whole choice on networks of the zoo without a checkpoint: seeded weights and hardly any images."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from hwgen.cli.app import app
from hwgen.data import synthetic_images
from hwgen.resources import models_dir

pytestmark = pytest.mark.slow

SMALL = ("--seed-images", "2", "--rounds", "1", "--epochs", "1", "--last-epochs", "0", "--seeds", "1", "--threads", "1",
         "--importance-images", "1", "--validation-images", "4", "--drops", "0", "--no-transfer")


def images_for(recipe: str, folder: Path) -> None:
    """An image folder with two training images and one test image of every class."""
    classes = recipe.split("classes = [", 1)[1].split("]", 1)[0].replace('"', "").split(", ")
    pixels = synthetic_images(3 * len(classes), (3, 32, 32), seed=1)
    for number, image in enumerate(pixels):
        split, name = ("test" if number % 3 == 2 else "train"), classes[number // 3]
        target = folder / "shapes" / split / name
        target.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.moveaxis(image, 0, -1)).save(target / f"{number}.png")


def without(recipe: str, *tables: str) -> str:
    """A recipe's text without some of its tables: seeded weights, other images."""
    return re.sub(rf"(?ms)^\[({'|'.join(tables)})\]\n.*?(?=^\[|\Z)", "", recipe)


@pytest.mark.parametrize("model", ["vgg16_tt", "mobilenetv2_32_tt"])
def test_a_set_is_chosen_and_written(tmp_path: Path, model: str) -> None:
    recipe = without((models_dir() / f"{model}.toml").read_text(), "weights", "quantize", "evaluation").replace(
        'dataset = "cifar10"', 'dataset = "shapes"')
    images_for(recipe, tmp_path / "data")
    (tmp_path / f"{model}.toml").write_text(recipe + "\n[quantize]\nimages = 4\n")
    threads = torch.get_num_threads()
    try:
        done = CliRunner().invoke(app, ["seal", "--model", str(tmp_path / f"{model}.toml"), "--data",
                                        str(tmp_path / "data"), *SMALL, "--out", str(tmp_path / "out")])
    finally:
        torch.set_num_threads(threads)
    assert done.exit_code == 0, done.output
    rows = json.loads((tmp_path / "out" / "rows.json").read_text())
    assert {r["set"]: r["encrypted_share"] for r in rows}["all"] == 1.0
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert set(result["verified"]["nodes"]) <= {unit["node"] for unit in result["units"]}
    assert (tmp_path / "out" / "selection.json").is_file()
