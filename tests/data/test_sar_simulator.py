"""The simulator: seeded, speckle with the statistics of speckle, targets that differ and stand out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwgen.data import load_dataset
from hwgen.data.sar_simulator import _field, _impulse, simulated_sar
from hwgen.errors import HwgenError

CLASSES = ("a", "b", "c")


def test_equal_seeds_give_equal_chips() -> None:
    first = simulated_sar("train", (1, 32, 32), CLASSES, per_class=4)
    again = load_dataset("sar_simulated", Path("nowhere"), "train", (1, 32, 32), CLASSES)
    assert first.images.shape == (12, 1, 32, 32) and len(again) == 3 * 48
    np.testing.assert_array_equal(first.images[4:8], again.images[48:52])
    assert len(np.unique(again.images, axis=0)) == len(again)
    other = simulated_sar("train", (1, 32, 32), CLASSES, per_class=4, seed=1)
    test = simulated_sar("test", (1, 32, 32), CLASSES, per_class=4)
    assert (first.images != other.images).mean() > 0.5 and (first.images != test.images).mean() > 0.5


def test_speckle_is_fully_developed() -> None:
    intensity = np.abs(_field((400, 400), np.random.default_rng(0))) ** 2
    assert intensity.mean() == pytest.approx(1, abs=0.02)
    assert intensity.std() == pytest.approx(1, abs=0.03), "an exponential distribution's deviation is its mean"


def test_impulse_response_of_a_hamming_band() -> None:
    assert _impulse(np.zeros(1))[0] == pytest.approx(1)
    offsets = np.linspace(4, 30, 400)
    assert 20 * np.log10(np.abs(_impulse(offsets)).max()) < -40


def test_targets_stand_out_and_differ() -> None:
    chips = simulated_sar("train", (1, 48, 48), CLASSES, per_class=8)
    middle, border = chips.images[:, 0, 16:32, 16:32], chips.images[:, 0, :4]
    assert middle.max(axis=(1, 2)).mean() > 2 * border.max(axis=(1, 2)).mean()
    with pytest.raises(HwgenError, match="has no images of shape"):
        simulated_sar("train", (3, 48, 48), CLASSES)
