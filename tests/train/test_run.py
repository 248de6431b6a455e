"""Whole trainings of a tiny network on tiny data: they learn, resume to the same result, and stop cleanly."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hwgen.data import Dataset, load_dataset
from hwgen.errors import HwgenError
from hwgen.train import evaluate, run
from hwgen.train.log import JsonLog
from hwgen.train.loop import TrainJob, train_loop
from hwgen.zoo import build_module, load_recipe, new_module, read_checkpoint
from hwgen.zoo.recipe import Recipe

DENSE = """
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
params = { stem = 4, channels = [4, 8], blocks = [1, 1], shortcut = "conv" }
[train]
batch = 16
phases = [{ epochs = 2, size = 8 }, { epochs = 2 }]
optimizer = { peak = 0.1 }
augment = { flip = true, shift = 1 }
"""
TT = """
[tt]
layers = [{ name = "layer1.0.conv1", ranks = [4, 4] }, { name = "layer2.0.conv2", ranks = [4, 6] }]
[train.teacher]
recipe = "tiny"
weight = 0.5
"""


def recipe(folder: Path, text: str = DENSE, name: str = "tiny") -> Recipe:
    path = folder / f"{name}.toml"
    path.write_text(text.replace('name = "tiny"', f'name = "{name}"', 1), encoding="utf-8")
    return load_recipe(path)


def records(path: Path, event: str) -> list[dict[str, Any]]:
    return [line for line in map(json.loads, path.read_text().splitlines()) if line["event"] == event]


def test_dense_network_learns_and_writes_what_it_promises(tmp_path: Path, data: Path) -> None:
    model = recipe(tmp_path)
    result = run(model, data, tmp_path / "out", display=False)
    assert result.accuracy > 0.9
    assert result.images == 32
    tensors, metadata = read_checkpoint(result.checkpoint)
    assert metadata["recipe_sha256"] == model.sha256
    assert float(metadata["accuracy"]) == pytest.approx(result.accuracy, abs=1e-4)
    assert tensors["conv1.weight"].shape == (4, 1, 3, 3)
    test = load_dataset("shapes", data, "test", (1, 12, 12), model.input.classes)
    assert evaluate(build_module(model, result.checkpoint).module, test, model.input) == result.accuracy
    epochs = records(result.log, "epoch")
    assert [line["size"] for line in epochs] == [8, 8, 12, 12]
    assert epochs[-1]["loss"] < epochs[0]["loss"]


def test_student_trains_its_teacher_first(tmp_path: Path, data: Path) -> None:
    recipe(tmp_path)
    student = recipe(tmp_path, DENSE + TT, "tiny_tt")
    result = run(student, data, tmp_path / "out", display=False)
    assert result.accuracy > 0.9
    assert (tmp_path / "out" / "teacher" / "tiny.safetensors").is_file()
    (outputs,) = (tmp_path / "out").glob("teacher_outputs-*.npy")
    assert np.load(outputs).shape == (2, 64, 2)
    assert set(records(result.log, "decompose")[0]["relative_error"]) == {"layer1.0.conv1", "layer2.0.conv2"}
    again = run(student, data, tmp_path / "other", teacher=tmp_path / "out/teacher/tiny.safetensors", display=False)
    assert again.checkpoint.read_bytes() == result.checkpoint.read_bytes()


def test_cores_of_five_dimensions_train(tmp_path: Path, data: Path) -> None:
    """A last core with kernel and output channels: [r, Kh, Kw, O, 1]."""
    recipe(tmp_path)
    whole = TT.replace("[tt]", '[tt]\ngrouping = "I|HWO"').replace("[4, 4]", "[4]").replace("[4, 6]", "[4]")
    student = recipe(tmp_path, DENSE + whole, "tiny_tt")
    assert run(student, data, tmp_path / "out", display=False).accuracy > 0.9


class Interrupter:
    """Sends Ctrl-C to the own process at one step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def __call__(self, summary: dict[str, Any]) -> None:
        if summary["step"] == self.step:
            os.kill(os.getpid(), signal.SIGINT)


def job(folder: Path, model: Recipe, data: Path, save_every: int = 100) -> TrainJob:
    folder.mkdir(exist_ok=True)
    train = load_dataset("shapes", data, "train", (1, 12, 12), model.input.classes)
    probe = load_dataset("shapes", data, "test", (1, 12, 12), model.input.classes)
    module = new_module(model, 0)
    return TrainJob(module=module, recipe=model, train=train, probe=probe, out_dir=folder, save_every=save_every)


@pytest.mark.parametrize("step", [3, 4, 9])
def test_interrupted_training_ends_as_an_uninterrupted_one(tmp_path: Path, data: Path, step: int) -> None:
    model = recipe(tmp_path)
    whole, broken = job(tmp_path / "whole", model, data), job(tmp_path / "broken", model, data)
    train_loop(whole, JsonLog(tmp_path / "whole.jsonl"))
    log = JsonLog(tmp_path / "broken.jsonl")
    with pytest.raises(KeyboardInterrupt):
        train_loop(broken, log, on_step=Interrupter(step))
    assert records(log.path, "interrupted")[0]["step"] == step
    resumed = job(tmp_path / "broken", model, data)
    train_loop(resumed, log)
    assert [line["step"] for line in records(log.path, "start")] == [0, step]
    for name, value in whole.module.state_dict().items():
        assert torch.equal(value, resumed.module.state_dict()[name]), name
    losses = [[line["loss"] for line in records(path, "epoch")] for path in (log.path, tmp_path / "whole.jsonl")]
    assert losses[0] == losses[1]


def test_state_of_another_recipe_is_refused(tmp_path: Path, data: Path) -> None:
    log = JsonLog(tmp_path / "log.jsonl")
    with pytest.raises(KeyboardInterrupt):
        train_loop(job(tmp_path / "out", recipe(tmp_path), data), log, on_step=Interrupter(1))
    other = recipe(tmp_path, DENSE.replace("peak = 0.1", "peak = 0.2"))
    with pytest.raises(HwgenError, match="belongs to another version of the recipe"):
        train_loop(job(tmp_path / "out", other, data), log)
    (tmp_path / "out" / "state.pt").write_bytes(b"broken")
    with pytest.raises(HwgenError, match="is no training state"):
        train_loop(job(tmp_path / "out", other, data), log)
    train_loop(job(tmp_path / "out", other, data), log, resume=False)


def test_loss_that_explodes_is_an_error(tmp_path: Path, data: Path) -> None:
    model = recipe(tmp_path, DENSE.replace("peak = 0.1", "peak = 1e30, warmup = 0.0"))
    with pytest.raises(HwgenError, match=r"the loss became (nan|inf) in step \d+\n  hint: lower optimizer.peak"):
        train_loop(job(tmp_path / "out", model, data), JsonLog(tmp_path / "log.jsonl"))


def test_what_cannot_be_trained(tmp_path: Path, data: Path) -> None:
    without = recipe(tmp_path, DENSE[: DENSE.index("[train]")])
    with pytest.raises(HwgenError, match=r"has no \[train\] section"):
        run(without, data, tmp_path / "out", display=False)
    assert not (tmp_path / "out").exists()
    few = Dataset("shapes", np.zeros((3, 1, 12, 12), np.uint8), np.zeros(3, np.int64), ("bars", "rows"))
    with pytest.raises(HwgenError, match="3 training images do not fill a batch of 16"):
        model = recipe(tmp_path)
        TrainJob(module=new_module(model), recipe=model, train=few, probe=few, out_dir=tmp_path)


def test_a_shipped_teacher_is_not_trained_again(tmp_path: Path, data: Path) -> None:
    trained = run(recipe(tmp_path), data, tmp_path / "teacher", display=False)
    (tmp_path / "tiny.safetensors").write_bytes(trained.checkpoint.read_bytes())
    recipe(tmp_path, DENSE + '[weights]\nfile = "tiny.safetensors"\n')
    student = recipe(tmp_path, DENSE + TT.replace("weight = 0.5", "weight = 0.0"), "tiny_tt")
    result = run(student, data, tmp_path / "out", display=False)
    assert not (tmp_path / "out" / "teacher").exists()
    assert records(result.log, "decompose")


def test_a_phase_whose_images_are_too_small_for_the_network_is_refused_before_training(
        tmp_path: Path, data: Path) -> None:
    text = DENSE.replace('builder = "resnet_cifar"', 'builder = "vgg"').replace(
        'params = { stem = 4, channels = [4, 8], blocks = [1, 1], shortcut = "conv" }',
        "params = { channels = [4, 0, 4, 0, 4, 0] }").replace("size = 8", "size = 7")
    with pytest.raises(HwgenError, match=r"images of 7 pixels.*too small") as error:
        run(recipe(tmp_path, text), data, tmp_path / "out", display=False)
    assert "train.phases[0].size" in str(error.value.where)
