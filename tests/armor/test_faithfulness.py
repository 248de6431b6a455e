"""Flips, shifts of classes and calibration on outputs made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hwgen.armor.faithfulness import calibration_error, faithfulness


def outputs(classes: list[int], confidence: float) -> np.ndarray:
    """Logits of three classes whose softmax has ``confidence`` at ``classes``."""
    probabilities = np.full((len(classes), 3), (1 - confidence) / 2)
    probabilities[np.arange(len(classes)), classes] = confidence
    return np.log(probabilities)


def test_flips_and_shifts() -> None:
    labels = np.array([0, 0, 1, 1, 2, 2])
    found = faithfulness(outputs([0, 0, 1, 0, 2, 2], 0.9), outputs([0, 1, 1, 1, 2, 0], 0.9), labels, ("a", "b", "c"))
    assert found["flips"] == pytest.approx(3 / 6)
    assert found["lost"] == pytest.approx(2 / 6) and found["gained"] == pytest.approx(1 / 6)
    assert found["accuracy_before"] == pytest.approx(5 / 6) and found["accuracy_after"] == pytest.approx(4 / 6)
    assert [c["accuracy_after"] for c in found["per_class"]] == [0.5, 1.0, 0.5]
    assert [c["predicted_before"] for c in found["per_class"]] == [3, 1, 2]
    assert found["worst_class_shift"] == 0.5


def test_calibration_error() -> None:
    labels = np.zeros(10, np.int64)
    right_of_ten = [0] * 7 + [1] * 3
    assert calibration_error(outputs(right_of_ten, 0.7), labels) == pytest.approx(0, abs=1e-9)
    assert calibration_error(outputs(right_of_ten, 0.9), labels) == pytest.approx(0.2)
    mixed = np.concatenate([outputs([0, 1], 0.5), outputs([0] * 8, 0.9)])
    assert calibration_error(mixed, labels) == pytest.approx(0.8 * 0.1)


def test_a_class_without_images() -> None:
    found = faithfulness(outputs([0], 0.9), outputs([1], 0.9), np.array([0]), ("a", "b"))
    assert found["per_class"][1]["accuracy_before"] is None and found["worst_class_shift"] == 1.0
