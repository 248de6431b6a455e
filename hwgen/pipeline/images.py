"""Images for calibration, evaluation and the proof: from the user's data set, or made by the project."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwgen.data import Split, load_dataset, synthetic_images
from hwgen.errors import HwgenError
from hwgen.pipeline.source import ModelSource
from hwgen.zoo.recipe import InputSpec


@dataclass(frozen=True)
class Images:
    """Args:
        pixels: float32 [N, C, H, W], normalised as the network wants them.
        labels: class numbers [N]; None where there are none.
        origin: where they come from, for people.
    """

    pixels: np.ndarray
    labels: np.ndarray | None
    origin: str

    def __len__(self) -> int:
        return len(self.pixels)


def sample_images(source: ModelSource, shape: tuple[int, ...], count: int, seed: int) -> Images:
    """Images made by the project (hwgen.data.synthetic)."""
    return sample_images_of(input_spec(source, shape), count, seed)


def sample_images_of(spec: InputSpec, count: int, seed: int) -> Images:
    """``sample_images`` for a known input."""
    made = synthetic_images(count, spec.shape, seed)
    return Images(normalised(made, spec), None, f"{count} sample images made by hwgen (seed {seed})")


def data_images(source: ModelSource, root: Path, split: Split, *, count: int, seed: int) -> Images:
    """``count`` images of a data set (0: all, in order; else drawn by ``seed``)."""
    return data_images_of(None if source.recipe is None else source.recipe.input, root, split, count=count, seed=seed)


def data_images_of(spec: InputSpec | None, root: Path, split: Split, *, count: int, seed: int) -> Images:
    """``data_images`` for a known input; None, or one without a data set, where no recipe says how to prepare them."""
    if spec is None or not spec.dataset:
        raise HwgenError("an ONNX file does not say how its images are prepared", where="--data",
                         hint="write a recipe with [input] for it, or build without --data")
    dataset = load_dataset(spec.dataset, root, split, spec.shape, spec.classes or spec.class_count)
    if count:
        dataset = dataset.sample(count, seed)
    return Images(normalised(dataset.images, spec), dataset.labels,
                  f"{len(dataset):,} {split} images of {dataset.name}")


def input_spec(source: ModelSource, shape: tuple[int, ...]) -> InputSpec:
    """How a model's images are prepared; of an ONNX file nothing is known but the shape."""
    if source.recipe is not None:
        return source.recipe.input
    channels, height, width = shape if len(shape) == 3 else (*shape, 1, 1)
    return InputSpec(shape=(channels, height, width), mean=(0.5,) * channels, std=(0.25,) * channels, dataset="",
                     classes=("0", "1"))


def normalised(images: np.ndarray, spec: InputSpec) -> np.ndarray:
    """As ``hwgen.zoo.preprocess.normalise``, without torch."""
    mean = np.array(spec.mean, np.float32).reshape(1, -1, 1, 1)
    std = np.array(spec.std, np.float32).reshape(1, -1, 1, 1)
    return ((images.astype(np.float32) / np.float32(spec.scale) - mean) / std).astype(np.float32)
