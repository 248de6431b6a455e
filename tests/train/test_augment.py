"""Augmentation: mirrored, shifted with reflected borders, seeded; the teacher's view follows the mirror."""

from __future__ import annotations

import numpy as np
import torch

from hwgen.train.augment import Draw, augment, draw
from hwgen.zoo import load_recipe, normalise
from hwgen.zoo.recipe import AugmentSpec


def images(count: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, size=(count, 2, 6, 8), dtype=np.uint8)


def test_nothing_asked_nothing_done() -> None:
    spec = AugmentSpec()
    choices = draw(spec, 3, np.random.default_rng(1))
    assert not choices.flip.any()
    assert np.array_equal(augment(images(), spec, choices).numpy(), images())


def test_mirror_and_shift_by_hand() -> None:
    spec = AugmentSpec(flip=True, shift=2)
    x = images()
    choices = Draw(np.array([False, True, False]), np.array([2, 2, 0]), np.array([2, 2, 4]))
    result = augment(x, spec, choices).numpy()
    assert np.array_equal(result[0], x[0])
    assert np.array_equal(result[1], x[1, :, :, ::-1])
    padded = np.pad(x[2], ((0, 0), (2, 2), (2, 2)), mode="reflect")
    assert np.array_equal(result[2], padded[:, 0:6, 4:12])


def test_draws_are_seeded_and_cover_the_range() -> None:
    spec = AugmentSpec(flip=True, shift=4)
    first, second = (draw(spec, 500, np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(first.rows, second.rows)
    assert set(first.rows) == set(first.columns) == set(range(9))
    assert 0.4 < first.flip.mean() < 0.6


def test_normalisation_and_size() -> None:
    spec = load_recipe("resnet18").input
    x = torch.full((1, 3, 32, 32), 255, dtype=torch.uint8)
    expected = (1 - torch.tensor(spec.mean)) / torch.tensor(spec.std)
    assert torch.allclose(normalise(x, spec)[0, :, 5, 5], expected)
    small = normalise(x, spec, 20)
    assert small.shape == (1, 3, 20, 20)
    assert torch.allclose(small[0, :, 10, 10], expected)
