"""Signal to quantisation noise, layer by layer, against the float network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from hwgen.golden import quantise_input, run_all
from hwgen.ir.execute import visit_float
from hwgen.ir.nodes import Graph, Node, QConv2d, QInput
from hwgen.quantize.fuse import fuse
from hwgen.quantize.lower import Lowered


@dataclass(frozen=True, kw_only=True)
class LayerQuality:
    """How well one int8 tensor follows its float counterpart.

    Args:
        name: of the quantised node.
        sqnr_db: ``10 log10(sum x^2 / sum (x - x_q)^2)`` over all images, channels and pixels; errors of earlier layers
            included. Infinite when equal.
        saturated: share of values at the clamp (of the upper one only after ReLU).
        scale: real value of one step (mean over channels for a raw output).
    """

    name: str
    sqnr_db: float
    saturated: float
    scale: float


def layer_quality(lowered: Lowered, graph: Graph, images: np.ndarray) -> tuple[LayerQuality, ...]:
    """Compares every tensor of ``graph`` with the float tensor of ``lowered`` that it stands for.

    Args:
        lowered: of the calibration that ``graph`` was quantised with.
        graph: quantised.
        images: float32 [N, *input shape]; a few dozen are enough.
    """
    source = graph.input_node()
    assert isinstance(source, QInput)
    images = images.reshape(-1, *source.shape)
    integers = run_all(graph, quantise_input(images, source.scale))
    names = {f.tensor: f.name for f in fuse(lowered.graph)}
    found: dict[str, LayerQuality] = {}

    def compare(node: Node, value: Tensor) -> None:
        if node.name in names:
            name = names[node.name]
            found[name] = _quality(graph[name], value.double().numpy(), integers[name])

    visit_float(lowered.graph, images, compare)
    return tuple(found[node.name] for node in graph.nodes)


def _quality(node: Node, reference: np.ndarray, integers: np.ndarray) -> LayerQuality:
    if isinstance(node, QConv2d) and node.raw_scale is not None:
        scale, saturated = node.raw_scale.reshape(1, -1, 1, 1), 0.0
    else:
        scale = np.array(getattr(node, "scale", 1.0))
        lowest = -128 if integers.min() < 0 else 128  # zeros after ReLU are no saturation
        saturated = float(((integers == 127) | (integers == lowest)).mean())
    noise = float(((reference - integers * scale) ** 2).sum())
    signal = float((reference**2).sum())
    sqnr = float("inf") if noise == 0 else 10 * float(np.log10(max(signal, 1e-300) / noise))
    return LayerQuality(name=node.name, sqnr_db=sqnr, saturated=saturated, scale=float(scale.mean()))
