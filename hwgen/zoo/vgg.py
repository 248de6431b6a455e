"""VGG networks (Simonyan and Zisserman 2015): 3x3 convolutions, BatchNorm, 2x2 max pools, fully connected layers."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class VggParams:
    """Shape of the network.

    Args:
        channels: output channels of the convolutions in order, 0 for a 2x2 max pool.
        hidden: outputs of the fully connected layers before the classifier.
    """

    channels: tuple[int, ...]
    hidden: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.channels or self.channels[0] == 0 or min(self.channels) < 0:
            raise ValueError("channels must begin with a convolution and not be negative")
        if self.hidden and min(self.hidden) < 1:
            raise ValueError("hidden must be positive")


class Vgg(nn.Module):
    """Layers are named as in torchvision (``features.N``, ``classifier.N``)."""

    def __init__(self, shape: tuple[int, int, int], classes: int, params: VggParams) -> None:
        super().__init__()
        width, height, columns = shape
        layers: list[nn.Module] = []
        for channels in params.channels:
            if channels == 0:
                layers.append(nn.MaxPool2d(2))
                height, columns = height // 2, columns // 2
            else:
                layers += [nn.Conv2d(width, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()]
                width = channels
        self.features = nn.Sequential(*layers)
        sizes = (width * height * columns, *params.hidden, classes)
        dense: list[nn.Module] = []
        for inside, outside in pairwise(sizes):
            dense += [nn.Linear(inside, outside), nn.ReLU()]
        self.classifier = nn.Sequential(*dense[:-1])

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N, classes] of normalised images [N, C, H, W]."""
        return self.classifier(torch.flatten(self.features(x), 1))
