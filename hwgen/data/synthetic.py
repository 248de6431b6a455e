"""Images that ship with the project: made, not photographed, so no licence restricts them.

They stand in for a data set where none is given: proofs of bit-exactness, estimates of BatchNorm statistics for seeded
weights. An accuracy measured on them means nothing.
"""

from __future__ import annotations

import numpy as np


def synthetic_images(count: int, shape: tuple[int, int, int], seed: int = 0) -> np.ndarray:
    """Structured images uint8 [count, C, H, W], the same for the same seed on every machine.

    Image n depends on (seed, n) only: a smooth gradient, two to six filled ellipses or rectangles, noise, and a random
    brightness and contrast. Pixels cover 0..255; no two images are alike.
    """
    return np.stack([_image(shape, np.random.default_rng([seed, index])) for index in range(count)])


def _image(shape: tuple[int, int, int], rng: np.random.Generator) -> np.ndarray:
    channels, height, width = shape
    rows = np.linspace(-1.0, 1.0, height)[None, :, None]
    columns = np.linspace(-1.0, 1.0, width)[None, None, :]
    slope = rng.uniform(-1, 1, size=(3, channels, 1, 1))
    image = slope[0] * rows + slope[1] * columns + slope[2]
    for _ in range(int(rng.integers(2, 7))):
        centre = rng.uniform(-0.8, 0.8, size=2)
        radius = rng.uniform(0.15, 0.7, size=2)
        colour = rng.uniform(-1.5, 1.5, size=(channels, 1, 1))
        down, right = (rows - centre[0]) / radius[0], (columns - centre[1]) / radius[1]
        if rng.random() < 0.5:
            inside = down**2 + right**2 < 1
        else:
            inside = np.maximum(np.abs(down), np.abs(right)) < 1
        image = np.where(inside, colour, image)
    image = image + rng.normal(0.0, rng.uniform(0.02, 0.25), size=(channels, height, width))
    pixels = 128.0 + rng.uniform(-40, 40) + image * rng.uniform(40, 110)
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
