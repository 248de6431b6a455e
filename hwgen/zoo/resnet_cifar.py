"""Residual networks for small images: a 3x3 stem without pooling, basic blocks, global average pooling.

Covers ResNet-18 in its 32x32 form (64-128-256-512 channels, 1x1 convolution shortcuts) and the ResNet-20/32/56 family
of the original paper (16-32-64 channels, option-A shortcuts), by parameters only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Shortcut = Literal["conv", "identity_pad"]


@dataclass(frozen=True, kw_only=True)
class ResNetCifarParams:
    """Shape of the network.

    Args:
        stem, stem_stride: output channels and stride of the first convolution.
        channels, blocks: output channels and number of blocks per stage.
        shortcut: ``"conv"`` (1x1 convolution and BatchNorm) or ``"identity_pad"`` (option A), where the shape changes.
    """

    stem: int
    channels: tuple[int, ...]
    blocks: tuple[int, ...]
    shortcut: Shortcut
    stem_stride: int = 1

    def __post_init__(self) -> None:
        if len(self.channels) != len(self.blocks):
            raise ValueError(f"blocks must have one entry per stage ({len(self.channels)}), not {len(self.blocks)}")
        if min((self.stem, self.stem_stride, *self.channels, *self.blocks)) < 1:
            raise ValueError("stem, stem_stride, channels and blocks must be positive")


def identity_pad_conv(in_channels: int, out_channels: int, stride: int) -> nn.Conv2d:
    """The option-A shortcut (subsample, then pad the channels with zeros on both sides) as a fixed 1x1 convolution.

    Written as a convolution it exports, quantises and runs like any other layer. Its weight [O, I, 1, 1] is 0 or 1 and
    not trained.
    """
    conv = nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False)
    first = (out_channels - in_channels) // 2
    weight = torch.zeros(out_channels, in_channels, 1, 1)
    for channel in range(in_channels):
        weight[first + channel, channel] = 1.0
    conv.weight = nn.Parameter(weight, requires_grad=False)
    return conv


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with BatchNorm and a residual connection; [N, I, H, W] -> [N, O, H/stride, W/stride]."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, shortcut: Shortcut) -> None:
        super().__init__()
        self.conv1: nn.Module = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2: nn.Module = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.shortcut = nn.Sequential()
        if stride != 1 or in_channels != out_channels:
            if shortcut == "conv":
                conv = nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False)
                self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(out_channels))
            else:
                self.shortcut = nn.Sequential(identity_pad_conv(in_channels, out_channels, stride))

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return functional.relu(y + self.shortcut(x))


class ResNetCifar(nn.Module):
    """Stem, stages of basic blocks (every stage after the first halves the map), average pooling, classifier."""

    def __init__(self, shape: tuple[int, int, int], classes: int, params: ResNetCifarParams) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(shape[0], params.stem, 3, stride=params.stem_stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(params.stem)
        self.stages = len(params.channels)
        width = params.stem
        for stage, (out_channels, count) in enumerate(zip(params.channels, params.blocks, strict=True), start=1):
            layers: list[nn.Module] = []
            for index in range(count):
                stride = 2 if stage > 1 and index == 0 else 1
                layers.append(BasicBlock(width, out_channels, stride, params.shortcut))
                width = out_channels
            self.add_module(f"layer{stage}", nn.Sequential(*layers))
        self.linear = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N, classes] of normalised images [N, in_channels, H, W]."""
        y = functional.relu(self.bn1(self.conv1(x)))
        for stage in range(1, self.stages + 1):
            y = self.get_submodule(f"layer{stage}")(y)
        y = functional.adaptive_avg_pool2d(y, 1)
        return self.linear(torch.flatten(y, 1))
