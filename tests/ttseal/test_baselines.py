"""Baselines: sizes and order."""

from __future__ import annotations

import pytest

from hwgen.ttseal.baselines import fill, first_last, largest_norm, random_set
from hwgen.ttseal.units import Unit, bytes_of


def unit(node: str, size: int, layer: str = "") -> Unit:
    return Unit(node=node, layer=layer or node, shape=(1, size, 1, 1), parameters=size, bytes=size)


UNITS = (unit("stem", 10), unit("a.0", 30, "a"), unit("a.1", 50, "a"), unit("b", 100), unit("c", 20), unit("fc", 5))


def test_filling_skips_what_is_too_large_and_tops_up() -> None:
    assert fill(UNITS, 40) == {"stem", "a.0"}
    assert fill((UNITS[3], UNITS[4], UNITS[0], UNITS[5]), 33) == {"c", "stem", "fc"}  # b is too large
    assert fill((UNITS[3], UNITS[2]), 10) == {"a.1"}  # nothing fits: the smallest that suffices
    assert fill(UNITS, 10_000) == {u.node for u in UNITS}


@pytest.mark.parametrize("seed", range(20))
def test_random_sets_are_no_smaller_and_follow_the_seed(seed: int) -> None:
    found = random_set(UNITS, 60, seed)
    assert bytes_of(UNITS, found) >= 60
    assert found == random_set(UNITS, 60, seed)


def test_random_sets_differ() -> None:
    assert len({random_set(UNITS, 60, seed) for seed in range(20)}) > 3


def test_first_and_last_layers_go_inwards() -> None:
    assert first_last(UNITS, 0) == {"stem", "fc"}
    assert first_last(UNITS, 16) == {"stem", "fc", "a.0", "a.1"}
    assert first_last(UNITS, 96) == {"stem", "fc", "a.0", "a.1", "c"}


def test_largest_norm_per_weight() -> None:
    norms = {"stem": 10.0, "a.0": 300.0, "a.1": 50.0, "b": 500.0, "c": 20.0, "fc": 0.5}
    assert largest_norm(UNITS, norms, 30) == {"a.0"}
    assert largest_norm(UNITS, norms, 130) == {"a.0", "b"}
