"""Images that ship with the project."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from hwgen.data import synthetic_images


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 88, 88), (3, 7, 20)])
def test_shape_range_and_variety(shape: tuple[int, int, int]) -> None:
    images = synthetic_images(16, shape)
    assert images.shape == (16, *shape)
    assert images.dtype == np.uint8
    assert images.min() == 0
    assert images.max() == 255
    assert len({image.tobytes() for image in images}) == 16
    assert images.reshape(16, -1).std(axis=1).min() > 5


def test_image_depends_on_seed_and_index_only() -> None:
    assert np.array_equal(synthetic_images(5, (3, 8, 8), seed=1)[:3], synthetic_images(3, (3, 8, 8), seed=1))
    assert not np.array_equal(synthetic_images(1, (3, 8, 8), seed=1), synthetic_images(1, (3, 8, 8), seed=2))


def test_images_are_the_same_everywhere() -> None:
    digest = hashlib.sha256(synthetic_images(2, (3, 32, 32)).tobytes()).hexdigest()
    assert digest == "be6fabebbd0ea28dce3aa6f3c3fd02fac2b6a017835d695dadf1dc04cbdc737a"
