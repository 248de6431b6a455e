"""A labelled set of images in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Split = Literal["train", "test"]


@dataclass(frozen=True)
class Dataset:
    """Images uint8 [N, C, H, W] with labels int64 [N] and the class names in label order."""

    name: str
    images: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.ndim != 4:
            raise ValueError(f"images must be uint8 [N, C, H, W], not {self.images.dtype} {self.images.shape}")
        if self.labels.shape != self.images.shape[:1]:
            raise ValueError(f"labels must be [{len(self.images)}], not {list(self.labels.shape)}")

    def __len__(self) -> int:
        return len(self.images)

    def take(self, indices: np.ndarray | slice) -> Dataset:
        """The images and labels at ``indices``."""
        return Dataset(self.name, self.images[indices], self.labels[indices], self.classes)

    def sample(self, count: int, seed: int) -> Dataset:
        """``count`` different images (all, if there are fewer), drawn by ``seed``; calibration uses training images."""
        return self.take(np.random.default_rng(seed).permutation(len(self))[:count])
