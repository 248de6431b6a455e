"""Measured robustness: attacks only lower accuracy, stronger ones lower it more, nothing leaves the ball."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from art.attacks import evasion as art
from typer.testing import CliRunner

from hwgen.armor.model import Model
from hwgen.armor.robustness import PixelModule, RobustnessSettings, measure_robustness
from hwgen.cli.app import app
from hwgen.data import Dataset
from hwgen.errors import HwgenError
from hwgen.train.evaluate import evaluate, logits
from hwgen.train.graph_module import GraphModule

QUICK = RobustnessSettings(epsilon=8, apgd_steps=5, square_queries=20)


@pytest.mark.slow
def test_attacks_lower_accuracy(model: Model, chips: Dataset) -> None:
    module = GraphModule(model.graph)
    found = measure_robustness(module, chips, model.recipe.input, QUICK)
    accuracy = found.accuracy
    assert list(accuracy) == ["clean", "fgsm", "pgd20", "pgd50", "autoattack"] and found.images == len(chips)
    assert accuracy["clean"] == evaluate(module, chips, model.recipe.input) > 0.5
    assert accuracy["pgd20"] <= accuracy["fgsm"] + 0.03 and accuracy["fgsm"] < accuracy["clean"]
    assert accuracy["autoattack"] <= accuracy["pgd20"] + 0.05
    assert all(p.requires_grad for p in module.parameters())
    again = measure_robustness(module, chips, model.recipe.input, QUICK)
    assert again.accuracy == accuracy, "seeded"
    smaller = measure_robustness(module, chips, model.recipe.input, RobustnessSettings(epsilon=1, attacks=("pgd20",)))
    assert accuracy["pgd20"] < smaller.accuracy["pgd20"] <= accuracy["clean"]


def test_examples_are_cut_to_the_ball(model: Model, chips: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that cheats (returns other images) gains nothing beyond epsilon."""
    module, attack = GraphModule(model.graph), art.FastGradientMethod
    monkeypatch.setattr(attack, "generate", lambda self, x, y: np.roll(x, 1, axis=0))
    settings = RobustnessSettings(epsilon=1e-3, attacks=("fgsm",))
    accuracy = measure_robustness(module, chips, model.recipe.input, settings).accuracy
    assert accuracy["fgsm"] == accuracy["clean"]


def test_pixels_are_normalised_as_in_training(model: Model, chips: Dataset) -> None:
    module = GraphModule(model.graph)
    with torch.no_grad():
        found = PixelModule(module, model.recipe.input)(torch.from_numpy(chips.images[:8] / np.float32(255)))
    np.testing.assert_allclose(found.numpy(), logits(module, chips.images[:8], model.recipe.input), atol=1e-4)


def test_settings_are_checked() -> None:
    with pytest.raises(HwgenError, match=r"attack 'pgd'\n  allowed: fgsm, pgd20"):
        RobustnessSettings(epsilon=8, attacks=("pgd",))
    with pytest.raises(HwgenError, match="epsilon 0"):
        RobustnessSettings(epsilon=0)
    assert "epsilon 8/255" in QUICK.describe("pgd50") and "5 steps" in QUICK.describe("autoattack")


def test_command(recipe_file: Path, tmp_path: Path) -> None:
    words = ["evaluate", "-m", str(recipe_file), "--data", str(tmp_path), "--attack", "fgsm", "--images", "20",
             "--epsilon", "4", "--against", str(recipe_file)]
    result = CliRunner().invoke(app, [*words, "--json"])
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert [(r["attack"], r["epsilon"], r["images"]) for r in answer["rows"]] == [
        ("clean", 0.0, 20), ("FGSM, epsilon 4/255", 4.0, 20)]
    assert answer["faithfulness"]["flips"] == 0
    assert answer["faithfulness"]["calibration_error_before"] == answer["faithfulness"]["calibration_error_after"]
    shown = CliRunner().invoke(app, words)
    assert "FGSM, epsilon 4/255" in shown.stdout and "0.00 % of the predictions changed" in shown.stdout
