"""Learning from a teacher: its outputs are computed once and kept."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hwgen.data.dataset import Dataset
from hwgen.train.evaluate import logits
from hwgen.zoo.recipe import InputSpec


def teacher_logits(teacher: nn.Module, dataset: Dataset, spec: InputSpec, flip: bool, cache: Path, *, bfloat16: bool) -> np.ndarray:
    """Outputs of the teacher for every image, float16 [views, N, classes]; view 1 is the mirrored image.

    Shifts are left out: the teacher sees the image in the middle. ``cache`` (.npy) is read when it has the right shape,
    else written; delete it to compute anew.
    """
    shape = (2 if flip else 1, len(dataset), len(dataset.classes))
    if cache.exists():
        kept = np.load(cache)
        if kept.shape == shape:
            return kept
    views = [dataset.images, dataset.images[:, :, :, ::-1]][: shape[0]]
    result = np.stack([logits(teacher, view, spec, bfloat16=bfloat16) for view in views]).astype(np.float16)
    temporary = cache.with_name(cache.name + ".part")
    with temporary.open("wb") as file:
        np.save(file, result)
    os.replace(temporary, cache)
    return result


def distillation_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Kullback-Leibler divergence of the softened outputs [N, classes], times temperature^2 (Hinton et al. 2015)."""
    target = functional.log_softmax(teacher / temperature, dim=1)
    found = functional.log_softmax(student / temperature, dim=1)
    return functional.kl_div(found, target, reduction="batchmean", log_target=True) * temperature**2
