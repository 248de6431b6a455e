"""The device under attack: the int8 network that ships, answering queries with a class.

It computes the integers of ``hwgen.golden`` (docs/numerics.md) with torch, whose convolutions are several times faster
on a CPU; every victim is compared with the golden model, ``==``, before it answers anything.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hwgen.errors import HwgenError
from hwgen.golden import expand_kernels, quantise_input
from hwgen.golden.evaluate import logits as golden_logits
from hwgen.ir import nodes as ir
from hwgen.ir.nodes import Graph
from hwgen.ir.walk import output_of
from hwgen.ttseal.units import kernel_of
from hwgen.zoo.recipe import InputSpec

#: integers up to this are exact in float32
_EXACT = 1 << 24
#: images at a time: small enough for the 64-bit intermediates to stay in the cache of a CPU
_BATCH = 16
#: images on which the replica is compared with the golden model
CHECKED = 4


@dataclass(frozen=True)
class _Rule:
    """``floor(acc*M/2^S + res*R/2^S + 1/2)``, clamped; tensors are float64 [1, O, 1, 1].

    Dividing M and R by a power of two and adding 1/2 loses nothing: every intermediate has at most 49 bits (the
    contract's sums), float64 holds 53.
    """

    multiplier: Tensor
    residual: Tensor
    low: float
    high: float

    def __call__(self, acc: Tensor, residual: Tensor | None) -> Tensor:
        total = acc.double().mul_(self.multiplier).add_(0.5)
        if residual is not None:
            total += residual.double().mul_(self.residual)
        return total.floor_().clamp_(self.low, self.high).float()


class Victim:
    """Answers with classes; counts the queries.

    Args:
        graph: quantised classifier.
        spec: how pixels become the network's input.
        device: of torch.

    Raises:
        HwgenError: the replica and the golden model differ (an error of hwgen, never expected).
    """

    def __init__(self, graph: Graph, spec: InputSpec, device: str = "cpu") -> None:
        self.graph, self.spec, self.device = expand_kernels(graph), spec, torch.device(device)
        self.queries = 0
        source = graph.input_node()
        assert isinstance(source, ir.QInput)
        mean, std = (np.array(v, np.float32)[:, None] for v in (spec.mean, spec.std))
        pixels = np.arange(256, dtype=np.float32)[None, :]
        normal = ((pixels / np.float32(spec.scale) - mean) / std).astype(np.float32)  # as in hwgen.pipeline.images
        self._table = torch.from_numpy(quantise_input(normal, source.scale).astype(np.float32)).to(self.device)
        self._weights: dict[str, tuple[Tensor, Tensor]] = {}
        self._rules: dict[str, _Rule] = {}
        for node in self.graph.nodes:
            if isinstance(node, ir.QConv2d):
                kernel, bias = kernel_of(node).astype(np.float64), node.bias.astype(np.float64)
                bound = 128 * np.abs(kernel).sum(axis=(1, 2, 3)) + np.abs(bias)
                small = bound.max() < _EXACT and self.device.type == "cpu"  # others may transform convolutions
                kind = torch.float32 if small else torch.float64
                weight = torch.from_numpy(kernel).to(self.device, kind)
                self._weights[node.name] = (weight, torch.from_numpy(bias).to(self.device, kind))
            rule = getattr(node, "requantise", None)
            if isinstance(rule, ir.Requantise):
                self._rules[node.name] = self._rule(rule)

    def _rule(self, rule: ir.Requantise) -> _Rule:
        def column(values: np.ndarray) -> Tensor:
            return torch.from_numpy(np.asarray(values, np.float64)).view(1, -1, 1, 1).to(self.device)

        unit = np.exp2(-rule.shift.astype(np.float64))
        return _Rule(column(rule.multiplier * unit), column(rule.residual_multiplier * unit), float(rule.lo),
                     float(rule.hi))

    def check(self, images: np.ndarray) -> None:
        """Compare with the golden model on uint8 images [N, C, H, W]; every logit must be equal."""
        integers = self._integers(images).numpy(force=True).astype(np.int8)
        expected = golden_logits(self.graph, integers).reshape(len(images), -1)
        if not np.array_equal(expected, self.logits(images)):
            raise HwgenError("the fast replica and the golden model differ", where=self.graph.name, exit_code=3)

    def classes(self, images: np.ndarray, batch: int = _BATCH) -> np.ndarray:
        """What the device answers to uint8 images [N, C, H, W]: int64 [N]. Counted as queries."""
        self.queries += len(images)
        return self.logits(images, batch).argmax(axis=1).astype(np.int64)

    def logits(self, images: np.ndarray, batch: int = _BATCH) -> np.ndarray:
        """Real-valued outputs float64 [N, classes]; not what an attacker sees, and not counted."""
        node = self.graph[self.graph.output]
        raw = [self._run(self._integers(images[i:i + batch])) for i in range(0, len(images), batch)]
        scores = torch.cat(raw).numpy(force=True).astype(np.float64)
        if isinstance(node, ir.QConv2d) and node.raw_scale is not None:
            return scores * node.raw_scale.reshape(1, -1)
        return scores * getattr(node, "scale", 1.0)

    def _integers(self, images: np.ndarray) -> Tensor:
        """float32 integers [N, C, H, W] that the host sends for ``images``."""
        if images.dtype != np.uint8 or images.shape[1:] != self.spec.shape:
            raise ValueError(f"images must be uint8 [N, {self.spec.shape}], not {images.dtype} {images.shape}")
        pixels = torch.from_numpy(images.copy()).to(self.device).long()
        channel = torch.arange(images.shape[1], device=self.device).view(1, -1, 1, 1)
        return self._table[channel, pixels].contiguous(memory_format=torch.channels_last)

    @torch.inference_mode()
    def _run(self, x: Tensor) -> Tensor:
        def compute(node: ir.Node, inputs: list[Tensor]) -> Tensor:
            return x if isinstance(node, ir.QInput) else self._evaluate(node, inputs)

        return output_of(self.graph, compute).flatten(1)

    def _evaluate(self, node: ir.Node, inputs: list[Tensor]) -> Tensor:
        x = inputs[0]
        match node:
            case ir.QConv2d():
                weight, bias = self._weights[node.name]
                top, bottom, left, right = node.padding
                acc = functional.conv2d(functional.pad(x, (left, right, top, bottom)).to(weight.dtype), weight, bias,
                                        node.stride, (0, 0), node.dilation, node.groups)
                rule = self._rules.get(node.name)
                return acc if rule is None else rule(acc, inputs[1] if len(inputs) == 2 else None)
            case ir.QMaxPool():
                top, bottom, left, right = node.padding
                return functional.max_pool2d(functional.pad(x, (left, right, top, bottom), value=-128.0), node.kernel,
                                             node.stride)
            case ir.QAvgPool():
                top, bottom, left, right = node.padding
                padded = functional.pad(x, (left, right, top, bottom)).double()
                total = functional.avg_pool2d(padded, node.kernel, node.stride, divisor_override=1)
                return self._rules[node.name](total, None)
            case ir.QAdd():
                return self._rules[node.name](x, inputs[1])
            case ir.QConcat():
                return torch.cat(inputs, dim=1)
            case ir.QFlatten():
                return x.flatten(1)
        raise HwgenError(f"{node.op} is not a quantised node", where=node.name)
