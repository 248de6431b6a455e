"""Parameters and multiply-accumulates of a torch module, before any translation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from hwgen.tt.form import ConvShape
from hwgen.zoo.tt_conv import TTConv2d


@dataclass(frozen=True, kw_only=True)
class LayerCount:
    """Size of one layer for one image, as it runs: BatchNorm folded (one bias per output channel), trains as chains.

    Args:
        parameters: weights and biases.
        macs: multiply-accumulates.
        conv: dimensions of a convolution or TT layer; None for linear layers.
    """

    parameters: int
    macs: int
    conv: ConvShape | None


def _size(x: Tensor) -> tuple[int, int]:
    return int(x.shape[2]), int(x.shape[3])


@torch.no_grad()
def count_layers(module: nn.Module, shape: tuple[int, int, int]) -> dict[str, LayerCount]:
    """Counts of every convolution, TT layer and linear layer of ``module`` (in evaluation mode) at input ``shape``."""
    counts: dict[str, LayerCount] = {}

    def add(name: str, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(layer, nn.Linear):
            weights = layer.in_features * layer.out_features
            counts[name] = LayerCount(parameters=weights + layer.out_features, macs=weights, conv=None)
        elif isinstance(layer, nn.Conv2d | TTConv2d):
            kernel = layer.kernel if isinstance(layer, TTConv2d) else cast("tuple[int, int]", layer.kernel_size)
            groups = 1 if isinstance(layer, TTConv2d) else layer.groups
            conv = ConvShape(
                in_channels=layer.in_channels // groups,
                out_channels=layer.out_channels,
                kernel=kernel,
                in_size=_size(inputs[0]),
                out_size=_size(output),
            )
            cost = layer.form if isinstance(layer, TTConv2d) else None
            weights = cost.parameters(conv) if cost else conv.parameters
            macs = cost.macs(conv) if cost else conv.macs
            counts[name] = LayerCount(parameters=weights + layer.out_channels, macs=macs, conv=conv)

    kinds = (nn.Linear, nn.Conv2d, TTConv2d)
    named = [(name, layer) for name, layer in module.named_modules() if isinstance(layer, kinds)]
    hooks = [layer.register_forward_hook(partial(add, name)) for name, layer in named]
    try:
        module(torch.zeros(1, *shape))
    finally:
        for hook in hooks:
            hook.remove()
    return counts
