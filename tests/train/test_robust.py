"""Adversarial training: the attack stays in its ball and does harm, both losses train, runs stop early and resume."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hwgen.cli.robust_options import robust_spec, with_robust
from hwgen.data import Dataset, load_dataset
from hwgen.errors import HwgenError
from hwgen.train import evaluate, run
from hwgen.train.log import JsonLog
from hwgen.train.loop import TrainJob, train_loop
from hwgen.train.robust import perturb, robust_accuracy, robust_loss
from hwgen.train.run import hold_out
from hwgen.zoo import build_module, load_recipe, new_module
from hwgen.zoo.preprocess import normalise
from hwgen.zoo.recipe import Recipe, RobustSpec, StopSpec

RECIPE = """
name = "tiny"
description = "for tests"
[input]
shape = [1, 16, 16]
mean = [0.2]
std = [0.2]
dataset = "sar_simulated"
classes = ["a", "b"]
[network]
builder = "resnet_cifar"
params = { stem = 4, channels = [4, 8], blocks = [1, 1], shortcut = "conv" }
[train]
batch = 24
phases = [{ epochs = 12 }]
optimizer = { peak = 0.1 }
"""
ROBUST = RobustSpec(epsilon=8, step=4, steps=4)


@pytest.fixture
def model(tmp_path: Path) -> Recipe:
    path = tmp_path / "tiny.toml"
    path.write_text(RECIPE)
    return load_recipe(path)


def images(recipe: Recipe, split: str = "train") -> Dataset:
    return load_dataset("sar_simulated", Path(), split, recipe.input.shape, recipe.input.classes)  # type: ignore


def changed(recipe: Recipe, **train: object) -> Recipe:
    assert recipe.train is not None
    return replace(recipe, train=replace(recipe.train, **train))  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["pgd", "trades"])
def test_attack_stays_in_the_ball_and_in_the_pixels_range(model: Recipe, method: str) -> None:
    module, data, spec = new_module(model, 0), images(model).sample(16, 0), model.input
    x, y = normalise(torch.from_numpy(data.images), spec), torch.from_numpy(data.labels)
    module.train()
    found = perturb(module, x, y, spec=spec, robust=replace(ROBUST, method=method),  # type: ignore[arg-type]
                    rng=np.random.default_rng(0))
    assert module.training and all(p.grad is None for p in module.parameters())
    pixels = (found.numpy() * spec.std[0] + spec.mean[0]) * 255
    change = np.abs(pixels - data.images)
    assert change.max() <= 8.001 and (change > 7.9).mean() > 0.2
    assert pixels.min() > -1e-3 and pixels.max() < 255.001


@pytest.mark.slow
def test_attack_raises_the_loss_more_than_noise(model: Recipe, tmp_path: Path) -> None:
    trained = run(model, tmp_path, tmp_path / "out", display=False)
    module, test = build_module(model, trained.checkpoint).module, images(model, "test")
    clean = evaluate(module, test, model.input)
    rng = np.random.default_rng(0)
    noise = np.clip(test.images.astype(int) + rng.choice([-8, 8], test.images.shape), 0, 255).astype(np.uint8)
    noisy = evaluate(module, Dataset(test.name, noise, test.labels, test.classes), model.input)
    attacked = robust_accuracy(module, test, model.input, ROBUST)
    assert clean > 0.6 and attacked < noisy - 0.2 and attacked < clean - 0.3
    assert robust_accuracy(module, test, model.input, ROBUST) == attacked, "seeded"


def test_trades_loss_is_cross_entropy_plus_beta_times_the_divergence(model: Recipe) -> None:
    module, data = new_module(model, 0).eval(), images(model).sample(8, 0)
    x, y = normalise(torch.from_numpy(data.images), model.input), torch.from_numpy(data.labels)
    values = [float(robust_loss(module, x, y, spec=model.input, robust=replace(ROBUST, method="trades", beta=beta),
                                rng=np.random.default_rng(0))[0].detach()) for beta in (1e-9, 1.0, 2.0)]
    clean = float(torch.nn.functional.cross_entropy(module(x), y).detach())
    assert values[0] == pytest.approx(clean, abs=1e-5)
    assert values[2] - values[0] == pytest.approx(2 * (values[1] - values[0]), rel=1e-3) and values[1] > values[0]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["pgd", "trades"])
def test_robust_training_makes_robust(model: Recipe, tmp_path: Path, method: str) -> None:
    plain = run(model, tmp_path, tmp_path / "plain", display=False)
    robust = run(changed(model, robust=replace(ROBUST, method=method)), tmp_path, tmp_path / "robust", display=False)
    test, found = images(model, "test"), []
    for result in (plain, robust):
        module = build_module(model, result.checkpoint).module
        found.append(robust_accuracy(module, test, model.input, ROBUST))
    assert found[1] > found[0] + 0.15


def job(recipe: Recipe, folder: Path) -> TrainJob:
    folder.mkdir(exist_ok=True)
    learned, judge = hold_out(images(recipe), recipe)
    return TrainJob(module=new_module(recipe, 0), recipe=recipe, train=learned, probe=images(recipe, "test"),
                    out_dir=folder, judge=judge)


def test_early_stopping_keeps_the_best_epoch_and_resumes(model: Recipe, tmp_path: Path) -> None:
    stopping = changed(model, robust=replace(ROBUST, steps=1), stop=StopSpec(patience=1, images=24),
                       phases=(replace(model.train.phases[0], epochs=9),))  # type: ignore[union-attr]
    whole, log = job(stopping, tmp_path / "whole"), JsonLog(tmp_path / "whole.jsonl")
    train_loop(whole, log)
    epochs = [e for e in log.read() if e["event"] == "epoch"]
    best = [e for e in log.read() if e["event"] == "best"]
    judged = [e["judge_robust_accuracy"] for e in epochs]
    assert len(epochs) < 9 and epochs[-1]["since_best"] == 1 and len(best) == 1
    assert best[0]["accuracy"] == pytest.approx(max(judged), abs=1e-4) and judged[-1] <= max(judged[:-1])
    assert whole.judge is not None
    assert robust_accuracy(whole.module, whole.judge, stopping.input, replace(ROBUST, steps=1)) == best[0]["accuracy"]

    broken, step = job(stopping, tmp_path / "broken"), 4

    def stop(summary: dict[str, object]) -> None:
        if summary["step"] == step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_loop(replace_every(broken, 1), JsonLog(tmp_path / "broken.jsonl"), on_step=stop)
    resumed = job(stopping, tmp_path / "broken")
    train_loop(resumed, JsonLog(tmp_path / "broken.jsonl"))
    for name, value in whole.module.state_dict().items():
        assert torch.equal(value, resumed.module.state_dict()[name]), name


def replace_every(old: TrainJob, every: int) -> TrainJob:
    return TrainJob(module=old.module, recipe=old.recipe, train=old.train, probe=old.probe, out_dir=old.out_dir,
                    judge=old.judge, save_every=every)


def test_options_change_the_recipe(model: Recipe) -> None:
    spec = robust_spec(None, "trades", 4.0, 5, None, None)
    assert spec == RobustSpec(method="trades", epsilon=4, steps=5, step=2.0)
    assert robust_spec(spec, "", None, None, None, 3.0) == replace(spec, beta=3.0, step=2.0)
    assert robust_spec(spec, "none", None, None, None, None) is None
    assert with_robust(model, spec, 3).train.stop == StopSpec(patience=3)  # type: ignore[union-attr]
    assert with_robust(model, spec, None).sha256 != model.sha256 == with_robust(model, None, None).sha256
    with pytest.raises(HwgenError, match="'free' is not possible\n  allowed: pgd, trades, none"):
        robust_spec(None, "free", None, None, None, None)
    with pytest.raises(HwgenError, match="epsilon must be in"):
        robust_spec(None, "pgd", -1.0, None, None, None)
    with pytest.raises(HwgenError, match="options of adversarial training without a method"):
        robust_spec(None, "", 4.0, None, None, None)


def test_recipe_with_robust_training(tmp_path: Path, model: Recipe) -> None:
    path = tmp_path / "robust.toml"
    path.write_text(RECIPE + 'robust = { method = "trades", epsilon = 4 }\nstop = { patience = 2, images = 10 }\n')
    spec = load_recipe(path).train
    assert spec is not None and spec.robust == RobustSpec(method="trades", epsilon=4) and spec.stop is not None
    path.write_text(RECIPE + 'robust = { method = "free" }\n')
    with pytest.raises(HwgenError, match="'free' is not possible"):
        load_recipe(path)
    path.write_text(RECIPE + 'robust = {}\nteacher = { recipe = "tiny", weight = 0.5 }\n')
    with pytest.raises(HwgenError, match=r"robust needs teacher\.weight = 0"):
        load_recipe(path)
    with pytest.raises(HwgenError, match="too few to hold 90 out"):
        hold_out(images(model), changed(model, stop=StopSpec(patience=1, images=90)))
