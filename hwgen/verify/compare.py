"""Compare what the hardware gave with what the golden model expects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Args:
        elements: compared values; mismatches: of them, those that differ.
        first: where the first difference is, for people; "" if there is none.
    """

    elements: int
    mismatches: int
    first: str


def compare(
    expected: Sequence[Mapping[str, np.ndarray]], actual: Sequence[Mapping[str, np.ndarray]]
) -> Comparison:
    """Compare frame by frame, tensor by tensor; a missing tensor, or one of another size, differs in every element."""
    elements = mismatches = 0
    first = ""
    for frame, (want, have) in enumerate(zip(expected, actual, strict=True)):
        for name, tensor in want.items():
            elements += tensor.size
            other = have.get(name)
            if other is None or other.size != tensor.size:
                mismatches += tensor.size
                first = first or f"frame {frame}, {name}: missing or of another shape"
                continue
            different = tensor.reshape(-1).astype(np.int64) != other.reshape(-1).astype(np.int64)
            count = int(different.sum())
            mismatches += count
            if count and not first:
                at = int(np.argmax(different))
                place = tuple(int(i) for i in np.unravel_index(at, tensor.shape))
                first = f"frame {frame}, {name}{list(place)}: expected {tensor.reshape(-1)[at]}, " \
                        f"hardware {other.reshape(-1)[at]}"
    return Comparison(elements=elements, mismatches=mismatches, first=first)
