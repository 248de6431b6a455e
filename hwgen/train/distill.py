"""Learning from a teacher: its outputs are computed once and kept."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from torch import Tensor, nn
from torch.nn import functional

from hwgen.data.dataset import Dataset
from hwgen.train.evaluate import logits
from hwgen.zoo.recipe import Recipe


def teacher_outputs(teacher: nn.Module, dataset: Dataset, recipe: Recipe, cache: Path) -> np.ndarray:
    """Outputs of the teacher for every image, float16 [views, N, classes]; view 1 is the mirrored image.

    There are two views if the recipe mirrors images, else one. Shifts are left out: the teacher sees the image where it
    is. ``cache`` (.npy, named after the teacher's content) is read if it exists and has the right shape, else written.
    """
    flip = recipe.train is not None and recipe.train.augment.flip
    bfloat16 = recipe.train is not None and recipe.train.precision == "bfloat16"
    shape = (2 if flip else 1, len(dataset), len(dataset.classes))
    if cache.exists():
        kept = np.load(cache, allow_pickle=False)
        if kept.shape == shape:
            return kept
    views = (dataset.images, dataset.images[:, :, :, ::-1])[: shape[0]]
    outputs = [logits(teacher, view, recipe.input, bfloat16=bfloat16) for view in views]
    result = np.stack(outputs).astype(np.float16)
    temporary = cache.with_name(f"{cache.name}.part")
    with temporary.open("wb") as file:
        np.save(file, result)
    os.replace(temporary, cache)
    return result


def distillation_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Kullback-Leibler divergence of the softened outputs [N, classes], times temperature^2 (Hinton et al. 2015)."""
    target = functional.log_softmax(teacher / temperature, dim=1)
    found = functional.log_softmax(student / temperature, dim=1)
    return functional.kl_div(found, target, reduction="batchmean", log_target=True) * temperature**2
