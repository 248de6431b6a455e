"""Thresholds from histograms."""

from __future__ import annotations

import numpy as np
import pytest

from hwgen.errors import HwgenError
from hwgen.quantize.observe import BINS, Histogram, Method, threshold

RNG = np.random.default_rng(0)


def histogram(values: np.ndarray) -> Histogram:
    top = float(np.abs(values).max())
    return Histogram(np.histogram(np.abs(values), BINS, (0, top))[0].astype(float), top)


def error(values: np.ndarray, limit: float) -> float:
    scale = limit / 127
    return float(((values - np.clip(np.rint(values / scale), -128, 127) * scale) ** 2).mean())


def test_minmax_is_the_largest_magnitude():
    assert threshold(Histogram(np.ones(BINS), 3.5), Method.MINMAX) == 3.5


def test_percentile_drops_the_tail():
    values = RNG.normal(size=200_000)
    found = threshold(histogram(values), Method.PERCENTILE, 99.0)
    assert found == pytest.approx(np.percentile(np.abs(values), 99.0), rel=0.01)
    assert threshold(histogram(values), Method.PERCENTILE, 100.0) == pytest.approx(np.abs(values).max())
    with pytest.raises(HwgenError, match="percentile 0"):
        threshold(histogram(values), Method.PERCENTILE, 0)


@pytest.mark.parametrize("values", [
    RNG.normal(size=100_000), RNG.laplace(size=100_000), RNG.uniform(-1, 1, 100_000),
    np.concatenate([RNG.normal(size=100_000), [60.0]]), np.maximum(RNG.normal(size=100_000), 0),
], ids=["normal", "laplace", "uniform", "outlier", "relu"])
def test_mse_is_close_to_the_best_threshold(values):
    found = threshold(histogram(values[values != 0]), Method.MSE)
    top = np.abs(values).max()
    best = min(error(values, top * f) for f in np.linspace(0.02, 1, 99))
    assert error(values, found) <= 1.05 * best


def test_silent_tensors_get_a_positive_threshold():
    for method in Method:
        assert threshold(Histogram(np.zeros(BINS), 0.0), method) > 0
