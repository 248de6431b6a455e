"""How faithful a compressed network is to the one it was made from: not accuracy alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

#: bins of confidence of the expected calibration error
BINS = 15


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities float64 [N, classes]."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def calibration_error(logits: np.ndarray, labels: np.ndarray, bins: int = BINS) -> float:
    """Expected calibration error: mean distance of confidence and accuracy over bins of equal width, weighted by their
    images (Guo et al., arXiv 1706.04599)."""
    probabilities = softmax(logits)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    error = 0.0
    for number in range(bins):
        inside = place == number
        if inside.any():
            error += abs(float(confidence[inside].mean() - right[inside].mean())) * float(inside.mean())
    return error


def faithfulness(
    before: np.ndarray, after: np.ndarray, labels: np.ndarray, classes: Sequence[str],
) -> dict[str, Any]:
    """Compare outputs float [N, classes] of two networks on the same images; JSON-ready.

    ``flips`` is the share of images whose predicted class changed, ``lost`` of those that were right and are wrong now,
    ``gained`` the opposite. Per class: accuracy before and after, and how often it is predicted.
    """
    old, new = before.argmax(axis=1), after.argmax(axis=1)
    right_before, right_after = old == labels, new == labels
    per_class = []
    for number, name in enumerate(classes):
        mine = labels == number
        per_class.append({
            "class": name, "images": int(mine.sum()),
            "accuracy_before": float(right_before[mine].mean()) if mine.any() else None,
            "accuracy_after": float(right_after[mine].mean()) if mine.any() else None,
            "predicted_before": int((old == number).sum()), "predicted_after": int((new == number).sum())})
    shifts = [abs(c["accuracy_after"] - c["accuracy_before"]) for c in per_class if c["accuracy_before"] is not None]
    return {
        "images": len(labels), "accuracy_before": float(right_before.mean()),
        "accuracy_after": float(right_after.mean()), "flips": float((old != new).mean()),
        "lost": float((right_before & ~right_after).mean()), "gained": float((~right_before & right_after).mean()),
        "worst_class_shift": max(shifts, default=0.0),
        "calibration_error_before": calibration_error(before, labels),
        "calibration_error_after": calibration_error(after, labels), "per_class": per_class}
