"""The knapsack against all subsets."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest

from hwgen.errors import HwgenError
from hwgen.ttseal.knapsack import LEVELS, fewest_bytes, quantise_values


def brute_force(values: list[int], sizes: list[int], threshold: int) -> int:
    subsets = itertools.chain.from_iterable(itertools.combinations(range(len(sizes)), n) for n in range(len(sizes) + 1))
    return min(sum(sizes[i] for i in s) for s in subsets if sum(values[i] for i in s) >= threshold)


@pytest.mark.parametrize("seed", range(30))
def test_equals_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 11))
    values, sizes = rng.integers(0, 12, count).tolist(), rng.integers(0, 50, count).tolist()
    for threshold in sorted({0, 1, sum(values) // 3, sum(values) // 2, sum(values)}):
        if threshold > sum(values):
            continue
        found = fewest_bytes(values, sizes, threshold)
        assert found.bytes == brute_force(values, sizes, threshold)
        assert sum(sizes[i] for i in found.chosen) == found.bytes
        assert sum(values[i] for i in found.chosen) == found.value >= threshold
        assert list(found.chosen) == sorted(set(found.chosen))


def test_nothing_is_needed_for_nothing() -> None:
    assert fewest_bytes([3, 4], [10, 20], 0).chosen == ()


def test_unreachable_threshold() -> None:
    with pytest.raises(HwgenError, match=r"no items reach a threshold of 8\n  allowed: 0 \.\. 7"):
        fewest_bytes([3, 4], [10, 20], 8)


def test_quantised_values_keep_order_and_small_ones() -> None:
    values = quantise_values([1.0, 0.5, 1e-9, 0.0], levels=100)
    assert values.tolist() == [67, 33, 1, 0]


@pytest.mark.parametrize("values", [[0.0, 0.0], [-1.0, 2.0], [float("nan"), 1.0], [float("inf"), 1.0]])
def test_impossible_importances(values: list[float]) -> None:
    with pytest.raises(HwgenError, match="finite, none negative"):
        quantise_values(values)


def test_large_instances_take_less_than_a_second() -> None:
    rng = np.random.default_rng(0)
    values, sizes = quantise_values(rng.random(150)), rng.integers(1, 500_000, 150).tolist()
    start = time.process_time()
    found = fewest_bytes(values, sizes, LEVELS // 2)
    assert time.process_time() - start < 1
    assert found.value >= LEVELS // 2
