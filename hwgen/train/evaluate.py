"""Outputs and top-1 accuracy of a torch module."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from hwgen.data.dataset import Dataset
from hwgen.zoo.preprocess import normalise
from hwgen.zoo.recipe import InputSpec


@torch.inference_mode()
def logits(
    module: nn.Module, images: np.ndarray, spec: InputSpec, *, batch: int = 200, bfloat16: bool = False
) -> np.ndarray:
    """Outputs float32 [N, classes] of ``module`` (left in evaluation mode) for uint8 images [N, C, H, W]."""
    module.eval()
    parts = []
    for start in range(0, len(images), batch):
        x = normalise(torch.from_numpy(images[start : start + batch].copy()), spec)
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            parts.append(module(x).float().numpy())
    return np.concatenate(parts)


def evaluate(module: nn.Module, dataset: Dataset, spec: InputSpec, *, batch: int = 200) -> float:
    """Share (0..1) of ``dataset`` that ``module`` labels correctly, in float32 arithmetic."""
    return float(np.mean(logits(module, dataset.images, spec, batch=batch).argmax(1) == dataset.labels))
