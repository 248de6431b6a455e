"""Residual networks for large images (He et al. 2016): 7x7 stem of stride 2, max pool, basic or bottleneck blocks.

Layers are named as in torchvision, so that its checkpoints fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, kw_only=True)
class ResNetImagenetParams:
    """Shape of the network.

    Args:
        blocks: number of blocks of the four stages, which are 64, 128, 256 and 512 channels wide.
        block: ``"basic"`` (two 3x3 convolutions) or ``"bottleneck"`` (1x1, 3x3, 1x1 to four times the channels).
    """

    blocks: tuple[int, ...]
    block: Literal["basic", "bottleneck"] = "basic"

    def __post_init__(self) -> None:
        if not 1 <= len(self.blocks) <= 4 or min(self.blocks) < 1:
            raise ValueError("blocks must be one to four positive numbers")


class ResidualBlock(nn.Module):
    """Convolutions with BatchNorm and a residual connection; the stride is in the 3x3 convolution, the first of two."""

    def __init__(self, in_channels: int, width: int, stride: int, *, bottleneck: bool) -> None:
        super().__init__()
        out_channels = 4 * width if bottleneck else width
        shapes = [(1, width, 1), (3, width, stride), (1, out_channels, 1)] if bottleneck else [
            (3, width, stride), (3, width, 1)]
        self.depth = len(shapes)
        channels = in_channels
        for number, (kernel, out, step) in enumerate(shapes, start=1):
            self.add_module(f"conv{number}", nn.Conv2d(channels, out, kernel, step, kernel // 2, bias=False))
            self.add_module(f"bn{number}", nn.BatchNorm2d(out))
            channels = out
        self.downsample = nn.Sequential()
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
                                            nn.BatchNorm2d(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """[N, I, H, W] -> [N, O, H/stride, W/stride]."""
        y = x
        for number in range(1, self.depth + 1):
            y = self.get_submodule(f"bn{number}")(self.get_submodule(f"conv{number}")(y))
            if number < self.depth:
                y = functional.relu(y)
        return functional.relu(y + self.downsample(x))


class ResNetImagenet(nn.Module):
    """Stem, max pool, stages (every stage after the first halves the map), average pool, classifier."""

    def __init__(self, shape: tuple[int, int, int], classes: int, params: ResNetImagenetParams) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(shape[0], 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.stages = len(params.blocks)
        bottleneck = params.block == "bottleneck"
        channels = 64
        for stage, count in enumerate(params.blocks):
            width = 64 << stage
            layers: list[nn.Module] = []
            for index in range(count):
                stride = 2 if stage and not index else 1
                layers.append(ResidualBlock(channels, width, stride, bottleneck=bottleneck))
                channels = 4 * width if bottleneck else width
            self.add_module(f"layer{stage + 1}", nn.Sequential(*layers))
        self.fc = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N, classes] of normalised images [N, C, H, W]."""
        y = functional.max_pool2d(functional.relu(self.bn1(self.conv1(x))), 3, stride=2, padding=1)
        for stage in range(1, self.stages + 1):
            y = self.get_submodule(f"layer{stage}")(y)
        return self.fc(torch.flatten(functional.adaptive_avg_pool2d(y, 1), 1))
