"""Recorded calibrations: the shipped ones belong to the shipped checkpoints; a foreign one is not used."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from hwgen.errors import HwgenError
from hwgen.pipeline.calibration import Recorded, load_recorded, recorded_path, save_recorded
from hwgen.pipeline.request import BuildRequest
from hwgen.pipeline.source import ModelSource, model_source
from hwgen.zoo.recipe import list_recipes, load_recipe


def _source(model: str) -> ModelSource:
    return model_source(BuildRequest(model=model, board="zcu104", out=Path()))


@pytest.mark.parametrize("model", [m for m in list_recipes() if load_recipe(m).checkpoint is not None])
def test_every_shipped_checkpoint_has_its_calibration(model: str) -> None:
    found = load_recorded(_source(model))
    assert found is not None, "run 'hwgen build --data' and copy quantise/calibration.json"
    assert all(value > 0 for value in found.thresholds.values())
    assert "images of" in found.origin


def test_calibration_of_another_checkpoint_is_not_used(tmp_path: Path) -> None:
    source = _source("resnet20")
    assert source.recipe is not None
    recipe = replace(source.recipe, path=tmp_path / "mine.toml")
    (tmp_path / recipe.weights.file).write_bytes(b"other weights")
    moved = replace(source, recipe=recipe)
    original = load_recorded(source)
    path = recorded_path(moved)
    assert original is not None
    assert path is not None
    save_recorded(path, original)
    assert load_recorded(moved) is None
    (tmp_path / recipe.weights.file).unlink()
    assert load_recorded(moved) is None


def test_damaged_file_is_an_error(tmp_path: Path) -> None:
    source = _source("resnet20")
    assert source.recipe is not None
    moved = replace(source, recipe=replace(source.recipe, path=tmp_path / "mine.toml"))
    (tmp_path / "mine.calibration.json").write_text(json.dumps({"thresholds": {}}))
    with pytest.raises(HwgenError, match="is no calibration"):
        load_recorded(moved)


def test_round_trip(tmp_path: Path) -> None:
    found = Recorded(origin="o", method="mse", checkpoint="c", thresholds={"b": 2.0, "a": 1.0})
    save_recorded(tmp_path / "x.json", found)
    assert Recorded(**json.loads((tmp_path / "x.json").read_text())) == found
