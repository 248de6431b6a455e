"""Accuracy of a quantised graph on labelled images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hwgen.golden.execute import expand_kernels, quantise_input, run
from hwgen.ir.nodes import Graph, QConv2d, QInput


@dataclass(frozen=True)
class Accuracy:
    """Top-1 figures. ``predictions`` int64 [N]."""

    correct: int
    images: int
    predictions: np.ndarray

    @property
    def top1(self) -> float:
        """Share of correct predictions, 0..1."""
        return self.correct / self.images


def logits(graph: Graph, images: np.ndarray) -> np.ndarray:
    """Real-valued outputs float64 [N, *output shape] for int8 ``images``."""
    raw = run(graph, images).astype(np.float64)
    node = graph[graph.output]
    if isinstance(node, QConv2d) and node.raw_scale is not None:
        return raw * node.raw_scale.reshape(1, -1, *([1] * (raw.ndim - 2)))
    return raw * getattr(node, "scale", 1.0)


def evaluate(
    graph: Graph, images: np.ndarray, labels: np.ndarray, batch: int = 100,
    progress: Callable[[int, int], None] | None = None,
) -> Accuracy:
    """Top-1 accuracy of the golden model.

    Args:
        graph: quantised classifier.
        images: float32 [N, *input shape], normalised; quantised here with the input's scale.
        labels: class numbers [N].
        batch: images at a time.
        progress: called with (images done, images in all).
    """
    graph = expand_kernels(graph)
    source = graph.input_node()
    assert isinstance(source, QInput)
    predictions = np.empty(len(images), np.int64)
    for begin in range(0, len(images), batch):
        part = quantise_input(images[begin:begin + batch].reshape(-1, *source.shape), source.scale)
        scores = logits(graph, part)
        predictions[begin:begin + len(part)] = scores.reshape(len(part), -1).argmax(axis=1)
        if progress is not None:
            progress(begin + len(part), len(images))
    return Accuracy(int((predictions == np.asarray(labels)).sum()), len(images), predictions)
