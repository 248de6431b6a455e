"""BatchNorm statistics from data."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


@torch.no_grad()
def recalibrate_batchnorm(module: nn.Module, batches: Iterable[Tensor]) -> None:
    """Replace running mean and variance of every BatchNorm by their averages over ``batches`` of normalised images.

    Averaged over batches with equal weight, so the batches should be of one size. Nothing happens in a module without
    BatchNorm. The module's training mode is kept.
    """
    layers = [layer for layer in module.modules() if isinstance(layer, nn.BatchNorm2d)]
    if not layers:
        return
    was_training = module.training
    momenta = [layer.momentum for layer in layers]
    module.eval()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # cumulative average
        layer.train()
    for batch in batches:
        module(batch)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    module.train(was_training)
