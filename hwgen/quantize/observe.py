"""Observers: from the values of a tensor to the clipping threshold of its int8 form."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from hwgen.errors import HwgenError

BINS = 4096


class Method(StrEnum):
    """How the clipping threshold of a tensor is chosen."""

    MINMAX = "minmax"  #: the largest magnitude seen
    PERCENTILE = "percentile"  #: a quantile of the magnitudes
    MSE = "mse"  #: least mean squared quantisation error


@dataclass(frozen=True)
class Histogram:
    """Counts [BINS] of the magnitudes of a tensor over [0, top]."""

    counts: np.ndarray
    top: float


def threshold(histogram: Histogram, method: Method, percentile: float = 99.99) -> float:
    """Magnitude that int8 127 stands for; positive even for an all-zero tensor."""
    if histogram.top <= 0 or not histogram.counts.any():
        return 1.0
    match method:
        case Method.MINMAX:
            return histogram.top
        case Method.PERCENTILE:
            return _percentile(histogram, percentile)
        case Method.MSE:
            return _least_squares(histogram)
    raise HwgenError(f"unknown method {method!r}", where="calibration", allowed=", ".join(Method))


def _percentile(histogram: Histogram, percentile: float) -> float:
    if not 0 < percentile <= 100:
        raise HwgenError(f"percentile {percentile}", where="calibration", allowed="above 0, at most 100")
    reached = np.cumsum(histogram.counts) >= histogram.counts.sum() * (percentile / 100)
    return histogram.top * (int(np.argmax(reached)) + 1) / len(histogram.counts)


def _least_squares(histogram: Histogram) -> float:
    """The best of 200 thresholds by the squared error of rounding (step^2/12) and of clipping."""
    bins = len(histogram.counts)
    centres = (np.arange(bins) + 0.5) * (histogram.top / bins)
    # exact zeros (ReLU) lie in bin 0 and cost nothing; they are counted apart by the caller as negligible
    best, best_error = histogram.top, np.inf
    for fraction in np.linspace(0.2, 1.0, 200):
        limit = histogram.top * fraction
        step = limit / 127
        clipped = np.maximum(centres - (limit + step / 2), 0)
        error = float(histogram.counts @ (np.where(clipped > 0, (centres - limit) ** 2, step * step / 12)))
        if error < best_error:
            best, best_error = limit, error
    return best
