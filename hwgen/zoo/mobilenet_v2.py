"""MobileNetV2 (Sandler et al. 2018): inverted residual blocks around depthwise convolutions, ReLU6.

Layers are named as in torchvision, so that its checkpoints fit.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

#: expansion, output channels, blocks, stride of the first block
_STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


@dataclass(frozen=True, kw_only=True)
class MobileNetV2Params:
    """Shape of the network.

    Args:
        stem: output channels of the first convolution; last: of the last one.
        strides: of the stem and of the seven stages; smaller ones for small images.
        width: factor on the stages' channels, which stay multiples of 8 (as in torchvision, never less than 90 %).
    """

    stem: int = 32
    last: int = 1280
    strides: tuple[int, ...] = (2, *(stage[3] for stage in _STAGES))
    width: float = 1.0

    def __post_init__(self) -> None:
        if len(self.strides) != len(_STAGES) + 1:
            raise ValueError(f"strides must have {len(_STAGES) + 1} entries, not {len(self.strides)}")
        if min(self.stem, self.last, *self.strides) < 1:
            raise ValueError("stem, last and strides must be positive")
        if not self.width > 0:
            raise ValueError(f"width must be positive, not {self.width}")

    def scaled(self, channels: int) -> int:
        """Channels of a stage that has ``channels`` at width 1."""
        rounded = max(8, int(channels * self.width + 4) // 8 * 8)
        return rounded + 8 if rounded < 0.9 * channels * self.width else rounded


def conv_bn(inside: int, outside: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """A convolution that keeps the map but for its stride, and BatchNorm."""
    conv = nn.Conv2d(inside, outside, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(outside)]


class InvertedResidual(nn.Module):
    """Expand (1x1), filter every channel by itself (3x3), project (1x1); a residual connection where shapes agree."""

    def __init__(self, inside: int, outside: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inside * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers.append(nn.Sequential(*conv_bn(inside, hidden, 1), nn.ReLU6()))
        layers.append(nn.Sequential(*conv_bn(hidden, hidden, 3, stride, groups=hidden), nn.ReLU6()))
        self.conv = nn.Sequential(*layers, *conv_bn(hidden, outside, 1))
        self.residual = stride == 1 and inside == outside

    def forward(self, x: Tensor) -> Tensor:
        """[N, I, H, W] -> [N, O, H/stride, W/stride]."""
        return x + self.conv(x) if self.residual else self.conv(x)


class MobileNetV2(nn.Module):
    """Stem, seven stages of inverted residual blocks, a last 1x1 convolution, average pool, classifier."""

    def __init__(self, shape: tuple[int, int, int], classes: int, params: MobileNetV2Params) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.Sequential(*conv_bn(shape[0], params.stem, 3, params.strides[0]), nn.ReLU6())]
        width = params.stem
        for (expansion, full, blocks, _), stride in zip(_STAGES, params.strides[1:], strict=True):
            channels = params.scaled(full)
            for index in range(blocks):
                layers.append(InvertedResidual(width, channels, 1 if index else stride, expansion))
                width = channels
        layers.append(nn.Sequential(*conv_bn(width, params.last, 1), nn.ReLU6()))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(params.last, classes))

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N, classes] of normalised images [N, C, H, W]."""
        y = functional.adaptive_avg_pool2d(self.features(x), 1)
        return self.classifier(torch.flatten(y, 1))
