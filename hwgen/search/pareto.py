"""Points that no other point beats in everything."""

from __future__ import annotations

import numpy as np


def pareto(values: np.ndarray) -> np.ndarray:
    """Indices of the non-dominated rows of ``values`` [N, objectives], smaller is better; of equal rows one remains."""
    distinct, first = np.unique(values, axis=0, return_index=True)
    front: list[int] = []
    kept = np.empty((0, values.shape[1]))
    for index in range(len(distinct)):  # sorted by the first objective: a later row never dominates an earlier one
        row = distinct[index]
        if len(kept) and bool((kept <= row).all(axis=1).any()):
            continue
        kept = np.vstack([kept, row])
        front.append(index)
    return first[np.array(front, np.int64)] if front else np.array([], np.int64)
