"""Calibration: activation ranges of the lowered graph on real images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from hwgen.errors import HwgenError
from hwgen.ir.execute import visit_float
from hwgen.ir.nodes import Graph, Node
from hwgen.quantize.fuse import fuse
from hwgen.quantize.lower import Lowered, lower
from hwgen.quantize.observe import BINS, Histogram, Method, threshold


@dataclass(frozen=True)
class Calibration:
    """What quantisation needs to know about the activations.

    Args:
        lowered: the graph that was observed.
        histograms: magnitudes of every fused tensor of ``lowered``.
        thresholds: tensor -> magnitude of int8 127.
        means: tensor -> mean per channel, float64 [C].
        images: how many were seen.
    """

    lowered: Lowered
    histograms: dict[str, Histogram]
    thresholds: dict[str, float]
    means: dict[str, np.ndarray]
    images: int


def calibrate(
    graph: Graph, images: np.ndarray, method: Method | str = Method.MSE, percentile: float = 99.99, batch: int = 64,
) -> Calibration:
    """Observes a planned graph on images.

    Args:
        graph: planned.
        images: float32 [N, *input shape], normalised like the network's input; a few hundred suffice.
        method: see ``Method``.
        percentile: of the magnitudes, for ``Method.PERCENTILE``.
        batch: images at a time.

    Raises:
        HwgenError: no images, images of a wrong shape, or with NaN.
    """
    if len(images) == 0 or not np.isfinite(images).all():
        raise HwgenError("no images, or images with NaN or infinite values", where="calibration",
                         allowed="at least one finite image")
    try:
        method = Method(method)
    except ValueError as error:
        raise HwgenError(f"unknown method {method!r}", where="calibration", allowed=", ".join(Method)) from error
    if images.ndim == 2:
        images = images[:, :, None, None]
    lowered = lower(graph)
    tensors = {f.tensor for f in fuse(lowered.graph)}
    tops: dict[str, float] = dict.fromkeys(tensors, 0.0)
    sums: dict[str, np.ndarray] = {}
    counts: dict[str, np.ndarray] = {name: np.zeros(BINS) for name in tensors}

    def range_of(node: Node, value: torch.Tensor) -> None:
        if node.name in tensors:
            tops[node.name] = max(tops[node.name], float(value.abs().max()))
            total = value.sum(dim=(0, 2, 3), dtype=torch.float64).numpy() / (value.shape[2] * value.shape[3])
            sums[node.name] = sums.get(node.name, 0) + total

    def histogram_of(node: Node, value: torch.Tensor) -> None:
        if node.name in tensors and tops[node.name] > 0:
            magnitudes = value.abs()
            found = torch.histc(magnitudes, BINS, 0, tops[node.name]).double().numpy()
            found[0] -= int((magnitudes == 0).sum())  # exact zeros stay exact and must not weigh
            counts[node.name] += found

    visitors = (range_of,) if method is Method.MINMAX else (range_of, histogram_of)
    for visitor in visitors:
        for begin in range(0, len(images), batch):
            visit_float(lowered.graph, images[begin:begin + batch], visitor)
    histograms = {}
    for name in tensors:
        if method is Method.MINMAX:
            counts[name][-1] = 1
        histograms[name] = Histogram(counts[name], tops[name])
    return Calibration(
        lowered=lowered, histograms=histograms, images=len(images),
        thresholds={name: threshold(h, method, percentile) for name, h in histograms.items()},
        means={name: total / len(images) for name, total in sums.items()},
    )
