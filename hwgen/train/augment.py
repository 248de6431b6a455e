"""Seeded augmentation of batches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hwgen.zoo.recipe import AugmentSpec


@dataclass(frozen=True)
class Draw:
    """The random choices for one batch: mirrored or not, bool [N]; shifts down and right in 0..2*shift, int [N]."""

    flip: np.ndarray
    rows: np.ndarray
    columns: np.ndarray


def draw(spec: AugmentSpec, count: int, rng: np.random.Generator) -> Draw:
    """Choices for ``count`` images. All three are drawn whatever ``spec`` says, so that seeds stay comparable."""
    flip = rng.random(count) < 0.5
    shifts = rng.integers(0, 2 * spec.shift + 1, size=(2, count))
    return Draw(flip & spec.flip, shifts[0], shifts[1])


def augment(images: np.ndarray, spec: AugmentSpec, choices: Draw) -> Tensor:
    """Mirror and shift ``images`` uint8 [N, C, H, W] as drawn; borders are reflected."""
    x = torch.from_numpy(images)
    if spec.flip:
        mirrored = torch.from_numpy(choices.flip).view(-1, 1, 1, 1)
        x = torch.where(mirrored, x.flip(3), x)
    if spec.shift:
        height, width = x.shape[2:]
        padded = functional.pad(x.float(), [spec.shift] * 4, mode="reflect").to(torch.uint8)
        windows = padded.unfold(2, height, 1).unfold(3, width, 1)
        x = windows[torch.arange(len(x)), :, torch.from_numpy(choices.rows), torch.from_numpy(choices.columns)]
    return x
