"""Shallow input folding: the taps of the first convolution in the idle channel lanes of the input words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.ir.nodes import Graph, Padding, Pair, QConv2d, QInput


@dataclass(frozen=True)
class Fold:
    """Geometry of the convolution(s) whose windows the driver lays out.

    ``height`` and ``width`` are those of the convolution's output, ``channels`` = Kh*Kw*C in the order (ky, kx, c).
    """

    kernel: Pair
    stride: Pair
    padding: Padding
    dilation: Pair
    channels: int
    height: int
    width: int


def find_fold(graph: Graph, config: AcceleratorConfig) -> Fold | None:
    """The fold of the network input, where all its readers are convolutions of one geometry and folding is cheaper.

    Cheaper means: fewer cycles for the array passes over one output block of every reader plus the input's transfer.
    """
    source = graph.input_node()
    readers = graph.consumers(source.name)
    convs = [n for n in readers if isinstance(n, QConv2d) and n.inputs.count(source.name) == 1
             and n.inputs[0] == source.name and isinstance(n.weight, np.ndarray) and n.groups == 1]
    if not isinstance(source, QInput) or len(convs) != len(readers) or not convs or graph.output == source.name:
        return None
    if len({(n.weight.shape[2:], n.stride, n.padding, n.dilation) for n in convs}) != 1:
        return None
    first = convs[0]
    channels, height, width = source.shape
    kernel_h, kernel_w = first.weight.shape[2:]
    _, out_h, out_w = first.shape
    taps = kernel_h * kernel_w
    plain_words, folded_words = -(-channels // config.p_i), -(-(taps * channels) // config.p_i)
    if folded_words >= taps * plain_words:
        return None
    bytes_per_cycle = config.axi_ports * config.axi_bytes
    blocks = sum(-(-n.shape[0] // config.p_o) for n in convs)

    def cost(words_per_pixel: int, passes: int, pixels: int) -> float:
        return blocks * passes * out_h * out_w + words_per_pixel * pixels * config.p_i / bytes_per_cycle

    if cost(folded_words, folded_words, out_h * out_w) >= cost(plain_words, taps * plain_words, height * width):
        return None
    return Fold((kernel_h, kernel_w), first.stride, first.padding, first.dilation, taps * channels, out_h, out_w)


def fold_weight(weight: np.ndarray) -> np.ndarray:
    """int8 [O, C, Kh, Kw] -> [O, Kh*Kw*C, 1, 1] in the order (ky, kx, c)."""
    return np.ascontiguousarray(weight.transpose(0, 2, 3, 1)).reshape(weight.shape[0], -1, 1, 1)
