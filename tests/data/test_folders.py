"""Image folders: cropping, colours, order, mistakes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hwgen.data import load_dataset
from hwgen.errors import HwgenError

CLASSES = ("disc", "square")


def write_images(root: Path, mode: str = "L", size: tuple[int, int] = (12, 10), suffix: str = ".png") -> None:
    """Two images per class and split, width x height = ``size``; pixel = 10 * row + column."""
    for split in ("train", "test"):
        for label, name in enumerate(CLASSES):
            folder = root / split / name
            folder.mkdir(parents=True)
            for index in range(2):
                pixels = np.add.outer(10 * np.arange(size[1]), np.arange(size[0])) + index + 100 * label
                image = Image.fromarray(pixels.astype(np.uint8)).convert(mode)
                image.save(folder / f"{index}{suffix}")


@pytest.mark.parametrize("nested", [False, True])
def test_grey_images_are_cropped_in_the_middle(tmp_path: Path, nested: bool) -> None:
    write_images(tmp_path / "shapes" if nested else tmp_path)
    dataset = load_dataset("shapes", tmp_path, "test", (1, 8, 8), CLASSES)
    assert dataset.images.shape == (4, 1, 8, 8)
    assert dataset.labels.tolist() == [0, 0, 1, 1]
    assert dataset.images[0, 0, 0, 0] == 10 * 1 + 2
    assert dataset.images[3, 0, 7, 7] == (10 * 8 + 9 + 1 + 100) % 256


def test_grey_files_for_a_colour_network_and_back(tmp_path: Path) -> None:
    write_images(tmp_path / "grey", "L")
    write_images(tmp_path / "colour", "RGB", suffix=".jpeg")
    grey = load_dataset("x", tmp_path / "grey", "train", (3, 10, 12), CLASSES)
    assert np.array_equal(grey.images[:, 0], grey.images[:, 2])
    assert load_dataset("x", tmp_path / "colour", "train", (1, 10, 12), CLASSES).images.shape == (4, 1, 10, 12)


def test_mistakes_are_named(tmp_path: Path) -> None:
    with pytest.raises(HwgenError, match="no images of data set 'shapes'") as error:
        load_dataset("shapes", tmp_path, "train", (1, 8, 8), CLASSES)
    assert "shapes/train/<class>/*.jpeg or train/<class>/*.jpeg" in str(error.value)
    write_images(tmp_path)
    with pytest.raises(HwgenError, match=r"0.png: is 12x10 pixels\n  allowed: at least 16x16"):
        load_dataset("shapes", tmp_path, "train", (1, 16, 16), CLASSES)
    with pytest.raises(HwgenError, match="class folders differ: star"):
        load_dataset("shapes", tmp_path, "train", (1, 8, 8), (*CLASSES, "star"))
    (tmp_path / "train" / "disc" / "1.png").write_bytes(b"broken")
    with pytest.raises(HwgenError, match=r"1\.png: is no readable image"):
        load_dataset("shapes", tmp_path, "train", (1, 8, 8), CLASSES)
    for path in (tmp_path / "train" / "disc").iterdir():
        path.unlink()
    with pytest.raises(HwgenError, match="disc: holds no image"):
        load_dataset("shapes", tmp_path, "train", (1, 8, 8), CLASSES)
