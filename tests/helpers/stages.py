"""Single stages of a pipeline: their shapes, random nodes for them, and what they must compute, by plain loops."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.config.pipeline import StageConfig, StageKind
from hwgen.ir import nodes as ir
from hwgen.ir.nodes import Node, Padding, Pair
from hwgen.stream.layout import StageLines, stage_lines
from hwgen.stream.shapes import in_tiles
from hwgen.stream.weights import stage_stream
from tests.helpers.random_graphs import random_requantise, window_count


@dataclass(frozen=True)
class Layer:
    """A node and the stage that it is for; ``plain``: the same stage for single pixels."""

    node: Node
    stage: StageConfig
    plain: StageConfig

    def lines(self, config: AcceleratorConfig) -> StageLines:
        """Where its lines are when it stands alone."""
        alone = config.replace(pipeline=None)
        object.__setattr__(alone, "pipeline", _Alone((self.stage,)))
        return stage_lines(alone)[0]

    def stream(self, config: AcceleratorConfig) -> list[bytes]:
        """Its lines."""
        data = stage_stream(self.node, self.stage, self.lines(config), config)
        return [data[n:n + config.line_bytes] for n in range(0, len(data), config.line_bytes)]


@dataclass(frozen=True)
class _Alone:
    """Stages that need not make a whole pipeline."""

    stages: tuple[StageConfig, ...]


def layer(rng: np.random.Generator, kind: StageKind, size: tuple[int, int, int], out: int, *, kernel: Pair = (3, 3),
          stride: Pair = (1, 1), padding: Padding = (1, 1, 1, 1), residual: bool = False, raw: bool = False,
          whole: bool = False, tile: Pair = (1, 1), **folding: int) -> Layer:
    """A random layer; ``folding``: pe, simd, lanes, columns, queue."""
    channels, height, width = size
    shape = (out, window_count(height, kernel[0], stride[0], padding[:2]),
             window_count(width, kernel[1], stride[1], padding[2:]))
    taps = kernel[0] * kernel[1]
    inputs = ("x", "r") if residual else ("x",)
    common = {"name": "layer", "inputs": inputs, "shape": shape, "scale": 1.0}
    if kind in (StageKind.DENSE, StageKind.DEPTHWISE):
        inner = 1 if kind is StageKind.DEPTHWISE else channels
        rule = None if raw else random_requantise(rng, out, 4900 * np.sqrt(inner * taps), residual)
        node: Node = ir.QConv2d(
            weight=rng.integers(-127, 128, (out, inner, *kernel)).astype(np.int8),
            bias=rng.integers(-20000, 20000, out).astype(np.int32), requantise=rule,
            raw_scale=np.ones(out) if raw else None, stride=stride, padding=padding,
            groups=channels if kind is StageKind.DEPTHWISE else 1, **common)
    elif kind is StageKind.SUM:
        rule = random_requantise(rng, out, 60.0 * taps, residual)
        node = ir.QAdd(requantise=rule, **common) if residual else ir.QAvgPool(
            kernel=kernel, stride=stride, padding=padding, requantise=rule, **common)
    else:
        rule = None
        node = ir.QMaxPool(kernel=kernel, stride=stride, padding=padding, **common)
    plain = StageConfig(
        name="layer", kind=kind, source="input", residual="input" if residual else "", channels=channels,
        height=height, width=width, out_channels=out, out_height=shape[1], out_width=shape[2], kernel=kernel,
        stride=stride, padding=padding, whole=whole, raw=raw,
        residual_queue=4 if residual else 0)
    return Layer(node, in_tiles(plain, tile).replace(**folding), plain)


def to_tiles(tensor: np.ndarray, tile: Pair) -> np.ndarray:
    """[C, H, W] -> [pixels of a tile * C, rows of tiles, columns of tiles], filled up with zeros."""
    rows, columns = tile
    filled = np.pad(tensor, ((0, 0), (0, -tensor.shape[1] % rows), (0, -tensor.shape[2] % columns)))
    return np.concatenate([filled[:, y::rows, x::columns] for y in range(rows) for x in range(columns)])


def expected(case: Layer, x: np.ndarray, residual: np.ndarray | None) -> np.ndarray:
    """int64 [O, H, W] of int8 [C, H, W], by loops over outputs."""
    stage, node = case.plain, case.node
    maximum = stage.kind is StageKind.MAXIMUM
    top, bottom, left, right = stage.padding
    padded = np.pad(x.astype(np.int64), ((0, 0), (top, bottom), (left, right)),
                    constant_values=-128 if maximum else 0)
    out = np.zeros((stage.out_channels, stage.out_height, stage.out_width), np.int64)
    for y in range(stage.out_height):
        for column in range(stage.out_width):
            at_y, at_x = y * stage.stride[0], column * stage.stride[1]
            window = padded[:, at_y:at_y + stage.kernel[0], at_x:at_x + stage.kernel[1]]
            if maximum:
                out[:, y, column] = window.max(axis=(1, 2))
            elif isinstance(node, ir.QConv2d):
                weight = np.asarray(node.weight).astype(np.int64)
                terms = weight[:, 0] * window if stage.kind is StageKind.DEPTHWISE else weight * window
                out[:, y, column] = terms.reshape(len(weight), -1).sum(axis=1) + node.bias
            else:
                out[:, y, column] = window.sum(axis=(1, 2))
    rule = getattr(node, "requantise", None)
    if rule is None:
        return out
    total = out * rule.multiplier[:, None, None] + (1 << (rule.shift[:, None, None] - 1))
    if residual is not None:
        total += residual.astype(np.int64) * rule.residual_multiplier[:, None, None]
    return np.clip(total >> rule.shift[:, None, None], rule.lo, rule.hi)
