"""A-ConvNet: a small all-convolutional network for one-channel radar images (Chen et al. 2016)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, kw_only=True)
class AConvNetParams:
    """Channels and kernel sizes of the convolutions before the last one; the first ``pools`` are followed by pooling.

    Args:
        channels: output channels of every convolution but the last, which has one per class.
        kernels: kernel size of every convolution, the last included.
        pools: how many of the first convolutions are followed by a 2x2 max pooling.
    """

    channels: tuple[int, ...] = (16, 32, 64, 128)
    kernels: tuple[int, ...] = (5, 5, 6, 5, 3)
    pools: int = 3

    def __post_init__(self) -> None:
        if len(self.kernels) != len(self.channels) + 1:
            raise ValueError(f"kernels must have {len(self.channels) + 1} entries, not {len(self.kernels)}")
        if not 0 <= self.pools <= len(self.channels):
            raise ValueError(f"pools must be in 0..{len(self.channels)}, not {self.pools}")


class AConvNet(nn.Module):
    """Convolutions without padding, ReLU, 2x2 max pools; the last convolution leaves one value per class."""

    def __init__(self, shape: tuple[int, int, int], classes: int, params: AConvNetParams) -> None:
        super().__init__()
        self.pools = params.pools
        width = shape[0]
        outputs = (*params.channels, classes)
        for index, (channels, kernel) in enumerate(zip(outputs, params.kernels, strict=True), start=1):
            self.add_module(f"conv{index}", nn.Conv2d(width, channels, kernel))
            width = channels
        self.convolutions = len(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N, classes] of normalised images [N, 1, H, W]."""
        for index in range(1, self.convolutions):
            x = functional.relu(cast("nn.Conv2d", self.get_submodule(f"conv{index}"))(x))
            if index <= self.pools:
                x = functional.max_pool2d(x, 2)
        return torch.flatten(self.get_submodule(f"conv{self.convolutions}")(x), 1)
