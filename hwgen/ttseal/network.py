"""The integer network read back as real numbers: what an attacker makes of the stored weights, in torch.

Nodes whose weights are stored in plain are exactly the shipped integers times their scales. Encrypted nodes keep their
architecture (kernel size, stride, ReLU) and get fresh kernels with BatchNorm behind them, as anyone would train them;
BatchNorm begins with the spread that a tensor of 8 bits has, because plain layers behind it expect that. Rounding and
saturation are left out: they have no useful gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hwgen.errors import HwgenError
from hwgen.ir import nodes as ir
from hwgen.ir.nodes import Graph
from hwgen.ir.walk import output_of
from hwgen.ttseal.units import channel_scale, kernel_of
from hwgen.zoo.recipe import InputSpec

#: standard deviation of a quantised tensor in int8 steps, about: its range of +-127 covers four of them
_SPREAD = 127 / 4


def _activation(requantise: ir.Requantise | None) -> Callable[[Tensor], Tensor] | None:
    """ReLU, ReLU6 or nothing, as the clamp of the requantisation says."""
    if requantise is None or requantise.lo < 0:
        return None
    return functional.relu6 if requantise.hi < 127 else functional.relu


def _pad(x: Tensor, padding: ir.Padding, value: float = 0.0) -> Tensor:
    top, bottom, left, right = padding
    return functional.pad(x, (left, right, top, bottom), value=value) if any(padding) else x


class RealConv(nn.Module):
    """One convolution: ``weight`` float32 [O, I / groups, Kh, Kw], ``bias`` float32 [O] (None before BatchNorm)."""

    def __init__(self, node: ir.QConv2d, source_scale: float, fresh: torch.Generator | None) -> None:
        super().__init__()
        self.stride, self.dilation, self.groups, self.padding = node.stride, node.dilation, node.groups, node.padding
        self.activation = _activation(node.requantise)
        self.known = fresh is None
        self.norm: nn.Module | None = None
        if fresh is None:
            scale = channel_scale(node)
            weight = kernel_of(node) * (scale / source_scale)[:, None, None, None]
            self.weight = nn.Parameter(torch.from_numpy(weight.astype(np.float32)))
            self.bias = nn.Parameter(torch.from_numpy((node.bias * scale).astype(np.float32)))
            return
        shape = kernel_of(node).shape
        deviation = float((2 / np.prod(shape[1:])) ** 0.5)
        self.weight = nn.Parameter(torch.empty(shape).normal_(0.0, deviation, generator=fresh))
        if node.requantise is None:
            self.bias = nn.Parameter(torch.zeros(shape[0]))
            return
        self.bias, self.norm = None, nn.BatchNorm2d(shape[0])
        nn.init.constant_(self.norm.weight, _SPREAD * node.scale)

    def forward(self, x: Tensor, residual: Tensor | None) -> Tensor:
        """[N, I, H, W] (and a residual of the output's shape) -> [N, O, H', W']."""
        top, bottom, left, right = self.padding
        symmetric = top == bottom and left == right
        x = functional.conv2d(x if symmetric else _pad(x, self.padding), self.weight, self.bias, self.stride,
                              (top, left) if symmetric else (0, 0), self.dilation, self.groups)
        if self.norm is not None:
            x = self.norm(x)
        x = x if residual is None else x + residual
        return x if self.activation is None else self.activation(x)


class RealNetwork(nn.Module):
    """The quantised graph in real numbers; pixels float32 [N, C, H, W] in 0..1 -> logits [N, classes].

    Args:
        graph: quantised classifier.
        spec: how pixels become the network's input.
        encrypted: nodes whose weights are unknown: fresh kernels.
        seed: of the fresh kernels.
        pixel_max: the pixel value that 1.0 stands for.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, graph: Graph, spec: InputSpec, encrypted: Collection[str] = (), seed: int = 0, pixel_max: float = 255.0,
    ) -> None:
        super().__init__()
        convolutions = [n for n in graph.nodes if isinstance(n, ir.QConv2d)]
        if unknown := sorted(set(encrypted) - {n.name for n in convolutions}):
            raise HwgenError(f"no convolution {unknown[0]!r}", where=graph.name)
        self.graph, self.factor = graph, pixel_max / spec.scale
        self.register_buffer("mean", torch.tensor(spec.mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(spec.std).view(1, -1, 1, 1), persistent=False)
        self.convolutions = nn.ModuleList()
        self.position: dict[str, int] = {}
        for index, node in enumerate(convolutions):
            fresh = torch.Generator().manual_seed(seed * 100_003 + index) if node.name in encrypted else None
            self.position[node.name] = index
            self.convolutions.append(RealConv(node, _scale(graph, node.inputs[0]), fresh))

    def convolution(self, node: str) -> RealConv:
        """The convolution of a node."""
        found = self.convolutions[self.position[node]]
        assert isinstance(found, RealConv)
        return found

    def known(self) -> Iterator[RealConv]:
        """Convolutions whose weights were stored in plain."""
        return (c for c in self.convolutions if isinstance(c, RealConv) and c.known)

    def forward(self, pixels: Tensor) -> Tensor:
        def compute(node: ir.Node, inputs: list[Tensor]) -> Tensor:
            if isinstance(node, ir.QInput):
                normal = (pixels * self.factor - self.mean) / self.std
                return normal.contiguous(memory_format=torch.channels_last)
            return self._evaluate(node, inputs)

        return output_of(self.graph, compute).flatten(1)

    def _evaluate(self, node: ir.Node, inputs: list[Tensor]) -> Tensor:
        x = inputs[0]
        match node:
            case ir.QConv2d():
                return self.convolution(node.name)(x, inputs[1] if len(inputs) == 2 else None)
            case ir.QMaxPool():
                return functional.max_pool2d(_pad(x, node.padding, -torch.inf), node.kernel, node.stride)
            case ir.QAvgPool():
                return functional.avg_pool2d(_pad(x, node.padding), node.kernel, node.stride)
            case ir.QAdd():
                activation = _activation(node.requantise)
                return x + inputs[1] if activation is None else activation(x + inputs[1])
            case ir.QConcat():
                return torch.cat(inputs, dim=1)
            case ir.QFlatten():
                return x.flatten(1)
        raise HwgenError(f"{node.op} has no real form", where=node.name)


def _scale(graph: Graph, name: str) -> float:
    scale = getattr(graph[name], "scale", None)
    assert scale is not None, f"{name}: every tensor that a convolution reads has a scale"
    return float(scale)


def logits_of(network: nn.Module, images: np.ndarray, batch: int = 50) -> np.ndarray:
    """Outputs float32 [N, classes] for uint8 images [N, C, H, W]; the network is left in evaluation mode."""
    network.eval()
    device = next(network.parameters()).device
    with torch.inference_mode():
        parts = [network(torch.from_numpy(images[i:i + batch].copy()).to(device).float() / 255.0).cpu().numpy()
                 for i in range(0, len(images), batch)]
    return np.concatenate(parts)


def labels_of(network: nn.Module, images: np.ndarray, batch: int = 50) -> np.ndarray:
    """Predicted classes int64 [N] for uint8 images."""
    return logits_of(network, images, batch).argmax(axis=1).astype(np.int64)
