"""Measuring the maps between the cores of TT layers, and balancing the cores by them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from hwgen.tt.balance import balance
from hwgen.zoo.tt_conv import TTConv2d
from hwgen.zoo.tt_op import apply_chain

#: power of int8's noise as a share of a map's: a range of four standard deviations on each side in steps of 1/127,
#: whose square error is a twelfth
_NOISE = (4 / 127) ** 2 / 12


class _Moments:
    """Sums of t t^T over images and pixels for the maps t after every core but the last.

    What a core reads is int8, so it gets that noise here, too. Where its input has fewer dimensions than channels (it
    comes from another train, without a nonlinearity between them), the data alone would say that some directions of t
    are empty, and balancing would magnify them without bound, and the noise in them.
    """

    def __init__(self, layer: TTConv2d, seed: int) -> None:
        self.sums = [np.zeros((rank, rank)) for rank in layer.form.ranks]
        self.count = 0
        self.generator = torch.Generator().manual_seed(seed)

    def add(self, layer: TTConv2d, x: Tensor) -> None:
        cores = layer.cores
        for k in range(len(self.sums)):
            group = layer.form.grouping[k : k + 1]
            x = x + torch.randn(x.shape, generator=self.generator) * (_NOISE * x.square().mean()).sqrt()
            x = apply_chain(x, cores[k : k + 1], None, stride=layer.stride, padding=layer.padding, grouping=group)
            flat = x.permute(1, 0, 2, 3).reshape(x.shape[1], -1).double()
            self.sums[k] += (flat @ flat.T).numpy() / flat.shape[1]
        self.count += 1


@torch.no_grad()
def balance_module(module: nn.Module, batches: Iterable[Tensor], seed: int = 0) -> None:
    """Balance every TT layer of ``module`` in place; the function of the module does not change.

    Args:
        module: put into evaluation mode.
        batches: of normalised images, from the training set.
        seed: of the rotations and of the noise.
    """
    module.eval()
    layers = {name: layer for name, layer in module.named_modules() if isinstance(layer, TTConv2d)}
    moments = {name: _Moments(layer, seed) for name, layer in layers.items()}

    def measure(name: str, layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        moments[name].add(layers[name], inputs[0])

    hooks = [layer.register_forward_pre_hook(partial(measure, name)) for name, layer in layers.items()]
    try:
        for batch in batches:
            module(batch)
    finally:
        for hook in hooks:
            hook.remove()
    for name, layer in layers.items():
        cores = [core.double().numpy() for core in layer.cores]
        means = [total / max(moments[name].count, 1) for total in moments[name].sums]
        for parameter, core in zip(layer.cores, balance(cores, means, seed), strict=True):
            parameter.copy_(torch.from_numpy(core).to(parameter.dtype))
