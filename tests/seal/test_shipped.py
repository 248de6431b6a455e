"""Selections that ship beside a model: for its weights, and strong enough to be worth naming."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwgen.pipeline.fingerprint import hash_file
from hwgen.resources import models_dir
from hwgen.seal import load_selection
from hwgen.zoo import load_recipe

SELECTIONS = sorted(models_dir().glob("*.selection.json"))


def test_there_is_one() -> None:
    assert SELECTIONS


@pytest.mark.parametrize("path", SELECTIONS, ids=lambda path: path.name)
def test_it_belongs_to_the_shipped_weights(path: Path) -> None:
    selection = load_selection(path)
    recipe = load_recipe(selection.model)
    assert path.name == f"{recipe.name}.selection.json"
    assert recipe.checkpoint is not None
    selection.check_weights(hash_file(recipe.checkpoint), str(path))
    assert selection.summary["holds"] and selection.summary["seeds"] >= 3
    assert 0 < selection.summary["share_of_bytes"] <= 0.1
