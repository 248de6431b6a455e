"""A tiny network with tensor trains, its images, and settings under which everything takes seconds."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from PIL import Image

from hwgen.data import synthetic_images
from hwgen.ir.nodes import Graph
from hwgen.ttseal.settings import AttackSettings, SealSettings, TransferSettings
from hwgen.zoo.recipe import InputSpec
from tests.helpers.networks import quantised, residual_network

RECIPE = """
name = "tiny"
description = "for tests"
[input]
shape = [1, 8, 8]
mean = [0.5]
std = [0.25]
dataset = "shapes"
classes = ["bars", "rows"]
[network]
builder = "resnet_cifar"
params = { stem = 4, channels = [4, 8], blocks = [1, 1], shortcut = "conv" }
[tt]
layers = [{ name = "layer2.0.conv2", ranks = [4, 4] }]
[quantize]
images = 16
"""
SPEC = InputSpec(shape=(3, 8, 8), mean=(0.5,) * 3, std=(0.25,) * 3, dataset="none",
                 classes=tuple("abcdefghij"))
ATTACK = AttackSettings(seed_images=8, rounds=1, epochs=1, last_epochs=1, batch=8)
TRANSFER = TransferSettings(images=8, epsilons=(8,), headline=8, steps=3)
SETTINGS = SealSettings(attack=ATTACK, transfer=None, importance_images=2, probes=1, validation_images=8, seeds=1,
                        drops=1)


def toy_graph(*, tt: bool = True) -> Graph:
    """Quantised; two residual blocks on 3x8x8, random weights, ten classes."""
    return quantised(residual_network((8, 16), 8, tt=tt))


def toy_images(count: int, seed: int = 0) -> np.ndarray:
    """uint8 [count, 3, 8, 8]."""
    return synthetic_images(count, (3, 8, 8), seed)


def toy_data(folder: Path) -> Path:
    """An image folder of noisy vertical or horizontal stripes, 16 + 8 images a class."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 16), ("test", 8)):
        for name in ("bars", "rows"):
            target = folder / "shapes" / split / name
            target.mkdir(parents=True)
            for index in range(count):
                stripes = np.tile(np.where((np.arange(8) + index) // 2 % 2, 200, 60), (8, 1))
                pixels = (stripes if name == "bars" else stripes.T) + rng.normal(0, 25, (8, 8))
                Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(target / f"{index:02}.png")
    return folder


def toy_recipe(folder: Path) -> Path:
    """A recipe without a checkpoint: seeded weights."""
    path = folder / "tiny.toml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


def with_attack(**changes: object) -> SealSettings:
    """``SETTINGS`` with other settings of the attack."""
    return dataclasses.replace(SETTINGS, attack=dataclasses.replace(ATTACK, **changes))  # pyright: ignore
