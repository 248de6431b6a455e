"""A small physical simulator of radar target chips, for tests and examples only: no accuracy on it means anything.

A target is a set of point scatterers on a vehicle-sized body; each answers most strongly in a direction of its own. The
chip is the coherent sum of their responses (a Hamming-weighted band, so the impulse response is 1.3 times wider than a
rectangular one's and its side lobes lie below -40 dB), of the clutter's circular Gaussian field, whose intensity is
exponentially distributed (fully developed speckle; Goodman 1976), without clutter in the radar shadow behind the
target, and of thermal noise. What is stored is the magnitude.
"""

from __future__ import annotations

import numpy as np

from hwgen.data.dataset import Dataset, Split
from hwgen.errors import HwgenError

NAME = "sar_simulated"
#: chips per class of a split
_COUNTS = {"train": 48, "test": 24}
#: side of a resolution cell in pixels, scatterers of a target, and their amplitude over the clutter's
_CELL, _SCATTERERS, _AMPLITUDE = 1.6, 12, 9.0


def simulated_sar(
    split: Split, shape: tuple[int, int, int], classes: tuple[str, ...], *, per_class: int = 0, seed: int = 0,
) -> Dataset:
    """Chips uint8 [N, 1, H, W] of so many kinds of targets, every one at an azimuth of its own.

    The same arguments give the same images on every machine; those of the two splits are different chips of the same
    targets. ``per_class`` 0: 48 for training, 24 for test.

    Raises:
        HwgenError: more than one channel, or fewer than 8 pixels.
    """
    if shape[0] != 1 or min(shape[1:]) < 8:
        raise HwgenError(f"has no images of shape {shape}", where=NAME, allowed="(1, H, W), H and W of at least 8")
    count = per_class or _COUNTS[split]
    images = [_chip(shape[1:], np.random.default_rng([seed, 1, label]),
                    np.random.default_rng([seed, 2, split == "test", label, index]))
              for label in range(len(classes)) for index in range(count)]
    labels = np.repeat(np.arange(len(classes), dtype=np.int64), count)
    return Dataset(NAME, np.stack(images)[:, None], labels, classes)


def _chip(size: tuple[int, int], target: np.random.Generator, view: np.random.Generator) -> np.ndarray:
    """One chip uint8 [H, W]; ``target`` draws the body, ``view`` the azimuth, the place and the fields."""
    height, width = size
    extent = min(size) * np.array([target.uniform(0.18, 0.3), target.uniform(0.08, 0.16)])  # half length, half width
    points = target.uniform(-1, 1, (_SCATTERERS, 2)) * extent
    facing, strength = target.uniform(0, 2 * np.pi, _SCATTERERS), target.rayleigh(1.0, _SCATTERERS)
    azimuth, shift = view.uniform(0, 2 * np.pi), view.uniform(-1.5, 1.5, 2)
    turn = np.array([[np.cos(azimuth), -np.sin(azimuth)], [np.sin(azimuth), np.cos(azimuth)]])
    placed = points @ turn.T + np.array([height, width]) / 2 + shift
    seen = 0.3 + 0.7 * np.maximum(0, np.cos(facing + azimuth)) ** 2
    answers = _AMPLITUDE * strength * seen * np.exp(2j * np.pi * view.random(_SCATTERERS))
    rows, columns = np.arange(height)[:, None], np.arange(width)[:, None]
    echo = (_impulse(rows - placed[:, 0]) * answers) @ _impulse(columns - placed[:, 1]).T
    clutter = _field(size, view) * _lit(size, placed)
    magnitude = np.abs(echo + clutter + 0.15 * _field(size, view))
    return np.clip(np.rint(magnitude * 22), 0, 255).astype(np.uint8)


def _impulse(offset: np.ndarray) -> np.ndarray:
    """Response of a Hamming-weighted band to a point ``offset`` pixels away; 1 at 0."""
    x = offset / _CELL
    return np.sinc(x) + 0.426 * (np.sinc(x - 1) + np.sinc(x + 1))


def _field(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Circular complex Gaussian field of unit mean intensity, complex [H, W]."""
    return (rng.normal(size=size) + 1j * rng.normal(size=size)) / np.sqrt(2)


def _lit(size: tuple[int, int], placed: np.ndarray) -> np.ndarray:
    """1 where the ground is illuminated, 0.2 in the shadow: behind the target (further down), as wide as it."""
    left, right = placed[:, 1].min(), placed[:, 1].max()
    far = placed[:, 0].max()
    rows, columns = np.arange(size[0])[:, None], np.arange(size[1])[None, :]
    shadow = (rows > far) & (rows < far + 0.2 * size[0]) & (columns > left) & (columns < right)
    return np.where(shadow, 0.2, 1.0)
