"""From pixels to what a network sees."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from hwgen.zoo.recipe import InputSpec


def normalise(images: Tensor, spec: InputSpec, size: int = 0) -> Tensor:
    """uint8 [N, C, H, W] -> float32 ``(pixel / scale - mean) / std``, channels last; resized to ``size`` unless 0."""
    mean = torch.tensor(spec.mean).view(1, -1, 1, 1)
    std = torch.tensor(spec.std).view(1, -1, 1, 1)
    x = (images.float() / spec.scale - mean) / std
    if size and size != x.shape[2]:
        x = functional.interpolate(x, size=(size, size), mode="bilinear", align_corners=False, antialias=True)
    return x.contiguous(memory_format=torch.channels_last)
