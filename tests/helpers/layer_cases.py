"""Random small networks as hypothesis strategies: drawn as plain values, so that a failure shrinks and can be read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from hwgen.ir.nodes import Graph
from tests.helpers.random_graphs import GraphBuilder, window_count

#: maps of 1, 2 and 4 pixels are where pipelines break
SIZES = st.sampled_from([1, 2, 2, 3, 4, 4, 5, 7, 8, 9, 11, 12, 16])
CHANNELS = st.one_of(st.integers(1, 9), st.sampled_from([15, 16, 17, 24, 31, 33, 40]))


@dataclass(frozen=True)
class Layer:
    """One layer: what it is, and numbers that are fitted to the tensor it reads."""

    kind: str
    source: int
    other: int
    channels: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    dilation: tuple[int, int]
    groups: int


@dataclass(frozen=True)
class Case:
    """A network: input (C, H, W), its layers, whether a raw classifier follows, and the seed of all numbers in it."""

    shape: tuple[int, int, int]
    layers: tuple[Layer, ...]
    classifier: bool
    seed: int


KINDS = ("conv", "conv", "grouped", "depthwise", "inverted", "inverted", "pointwise", "residual", "max", "max",
         "average", "add", "concat", "three_readers")
_KERNELS = st.one_of(st.sampled_from([1, 3]), st.integers(1, 7))
LAYERS = st.builds(
    Layer, kind=st.sampled_from(KINDS), source=st.integers(0, 3), other=st.integers(0, 3), channels=CHANNELS,
    kernel=st.tuples(_KERNELS, _KERNELS), stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(*[st.integers(0, 3)] * 4), dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    groups=st.integers(1, 3))
CASES = st.builds(
    Case, shape=st.tuples(CHANNELS, SIZES, SIZES), layers=st.lists(LAYERS, min_size=1, max_size=4).map(tuple),
    classifier=st.booleans(), seed=st.integers(0, 1 << 16))


def build(case: Case) -> Graph:
    """The quantised graph of a case; a layer that its input is too small for gets a smaller window."""
    builder = GraphBuilder(np.random.default_rng(case.seed), case.shape)
    tensors = ["input"]
    for layer in case.layers:
        tensors += _add(builder, layer, tensors)
    if case.classifier:
        builder.conv(builder.avg_pool(tensors[-1]), 10, (1, 1), raw=True)
    return builder.graph()


def _add(builder: GraphBuilder, layer: Layer, tensors: list[str]) -> list[str]:
    src = tensors[-1 - layer.source % len(tensors)]
    channels, height, width = builder.shape_of(src)
    alike = [t for t in tensors if builder.shape_of(t)[1:] == (height, width)]
    other = alike[layer.other % len(alike)]
    kernel, dilation, padding = _fitted(layer, height, width)
    match layer.kind:
        case "pointwise":
            return [builder.conv(src, layer.channels, (1, 1), layer.stride, padding=(0, 0, 0, 0))]
        case "residual":
            return [builder.conv(src, builder.shape_of(other)[0], _odd(kernel), residual=other)]
        case "depthwise":
            return [builder.conv(src, channels, kernel, layer.stride, padding=padding, dilation=dilation,
                                 groups=channels)]
        case "inverted":  # expand, depthwise and project, of a geometry that a window unit can do
            size = tuple(min(k, 3) for k in layer.kernel)
            same = (size[0] // 2, (size[0] - 1) // 2, size[1] // 2, (size[1] - 1) // 2)
            wide = builder.conv(src, 2 * layer.channels, (1, 1))
            stride = tuple(min(s, 2) for s in layer.stride)
            deep = builder.conv(wide, 2 * layer.channels, size, stride, padding=same, groups=2 * layer.channels)
            residual = src if builder.shape_of(deep)[1:] == (height, width) else None
            return [wide, deep, builder.conv(deep, channels, (1, 1), residual=residual)]
        case "grouped" if channels % layer.groups == 0:
            return [builder.conv(src, layer.groups * layer.channels, kernel, layer.stride, padding=padding,
                                 dilation=dilation, groups=layer.groups)]
        case "max":
            size = min(layer.kernel[0], height), min(layer.kernel[1], width)
            top, bottom, left, right = layer.padding
            inside = (min(top, size[0] - 1), min(bottom, size[0] - 1), min(left, size[1] - 1), min(right, size[1] - 1))
            return [builder.max_pool(src, size, layer.stride, inside)]
        case "average":
            return [builder.avg_pool(src, (min(layer.kernel[0], height), min(layer.kernel[1], width)), layer.stride)]
        case "add":
            twin = builder.conv(other, channels, (1, 1), padding=(0, 0, 0, 0))
            return [twin, builder.add(src, twin)]
        case "concat":
            twin = builder.conv(src, layer.channels, (1, 1), padding=(0, 0, 0, 0))
            return [twin, builder.concat(other, twin)] if other != twin else [twin]
        case "three_readers":
            first, second = (builder.conv(src, layer.channels, size) for size in ((1, 1), (3, 3)))
            third = builder.conv(src, layer.channels, (1, 1), residual=first)
            return [first, second, third, builder.concat(first, second, third)]
        case _:
            return [builder.conv(src, layer.channels, kernel, layer.stride, padding=padding, dilation=dilation)]


def _fitted(layer: Layer, height: int, width: int) -> tuple[
        tuple[int, int], tuple[int, int], tuple[int, int, int, int]]:
    """Kernel, dilation and padding with at least one position on the map."""
    (top, bottom, left, right), kernel, dilation = layer.padding, list(layer.kernel), list(layer.dilation)
    for axis, (size, pad) in enumerate(((height, (top, bottom)), (width, (left, right)))):
        while window_count(size, kernel[axis], 1, pad, dilation[axis]) < 1:
            if dilation[axis] > 1:
                dilation[axis] = 1
            else:
                kernel[axis] -= 1
    return (kernel[0], kernel[1]), (dilation[0], dilation[1]), layer.padding


def _odd(kernel: tuple[int, int]) -> tuple[int, int]:
    return kernel[0] - (kernel[0] + 1) % 2, kernel[1] - (kernel[1] + 1) % 2
