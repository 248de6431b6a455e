"""Balancing: the function stays, the inner channels become alike, int8 loses less."""

from __future__ import annotations

import numpy as np
import pytest

from hwgen.tt import contract
from hwgen.tt.balance import balance


def uneven_train(rng: np.random.Generator) -> tuple[list[np.ndarray], np.ndarray]:
    """A train of 1x1 kernels whose inner channels differ by orders of magnitude, and inputs [I, N]."""
    spread = np.exp(rng.normal(scale=2.0, size=16))
    cores = [
        rng.normal(size=(1, 24, 16)) * spread,
        rng.normal(size=(16, 1, 1, 20)) / spread.reshape(-1, 1, 1, 1),
        rng.normal(size=(20, 12, 1)),
    ]
    mix = rng.normal(size=(24, 24))
    return cores, mix @ rng.normal(size=(24, 4000))


def maps(cores: tuple[np.ndarray, ...] | list[np.ndarray], x: np.ndarray) -> list[np.ndarray]:
    """The map after every core."""
    result = []
    for core in cores:
        x = core.reshape(x.shape[0], -1).T @ x
        result.append(x)
    return result


def int8_chain(cores: tuple[np.ndarray, ...] | list[np.ndarray], x: np.ndarray) -> np.ndarray:
    """The chain with inner maps quantised per tensor and cores per output channel."""
    for index, core in enumerate(cores):
        matrix = core.reshape(x.shape[0], -1)
        step = np.abs(matrix).max(axis=0) / 127
        x = (np.rint(matrix / step) * step).T @ x
        if index + 1 < len(cores):
            step = max(float(np.abs(x).max()), 1e-30) / 127
            x = np.rint(x / step) * step
    return x


def balanced(cores: list[np.ndarray], x: np.ndarray) -> tuple[np.ndarray, ...]:
    return balance(cores, [t @ t.T / t.shape[1] for t in maps(cores, x)[:-1]])


def test_function_is_preserved() -> None:
    cores, x = uneven_train(np.random.default_rng(0))
    np.testing.assert_allclose(contract(balanced(cores, x)), contract(cores), rtol=1e-6, atol=1e-8)


def test_inner_channels_become_alike() -> None:
    cores, x = uneven_train(np.random.default_rng(1))
    before, after = (
        [float(np.ptp(np.log(np.sqrt(np.mean(t**2, axis=1))))) for t in maps(train, x)[:-1]]
        for train in (cores, balanced(cores, x))
    )
    assert max(before) > 4
    assert max(after) < 1


@pytest.mark.parametrize("seed", range(4))
def test_int8_loses_less(seed: int) -> None:
    cores, x = uneven_train(np.random.default_rng(seed))
    exact = maps(cores, x)[-1]
    errors = [np.linalg.norm(int8_chain(c, x) - exact) / np.linalg.norm(exact) for c in (cores, balanced(cores, x))]
    assert errors[1] < 0.5 * errors[0]


def test_ranks_above_what_follows_and_dead_channels() -> None:
    rng = np.random.default_rng(3)
    cores = [rng.normal(size=(1, 8, 8)), rng.normal(size=(8, 1, 1, 4)), rng.normal(size=(4, 2, 1))]
    x = rng.normal(size=(8, 100))
    x[3:] = 0
    result = balanced(cores, x)
    assert all(np.isfinite(core).all() for core in result)
    np.testing.assert_allclose(maps(result, x)[-1], maps(cores, x)[-1], rtol=1e-4, atol=1e-6)
