"""Image folders in the usual layout, ``<root>/{train,test}/<class>/*.jpeg|jpg|png``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from hwgen.data.dataset import Dataset, Split
from hwgen.errors import HwgenError

SUFFIXES = (".jpeg", ".jpg", ".png")


def image_folders(root: Path, name: str, split: Split) -> tuple[Path, Path]:
    """Where a split may be, the first choice first."""
    return root / name / split, root / split


def find_image_folder(root: Path, name: str, split: Split) -> Path:
    """``root/<name>/<split>`` or ``root/<split>``.

    Raises:
        HwgenError: neither exists.
    """
    for folder in image_folders(root, name, split):
        if folder.is_dir():
            return folder
    raise HwgenError(
        f"no images of data set {name!r} in {str(root)!r}",
        allowed=f"{name}/{split}/<class>/*.jpeg or {split}/<class>/*.jpeg (also .jpg, .png)",
        hint="put the images there and give that folder with --data",
    )


def load_image_folder(
    root: Path, name: str, split: Split, *, shape: tuple[int, int, int], classes: tuple[str, ...] | int
) -> Dataset:
    """Read a split; every image is centre-cropped to ``shape`` (C, H, W), C = 1 as greyscale and C = 3 as RGB.

    Args:
        root: folder that holds ``<name>/<split>`` or ``<split>``.
        name: of the data set.
        split: ``"train"`` or ``"test"``.
        shape: of the network's input.
        classes: names of the class folders in label order, or their number: they are labelled in sorted order.

    Raises:
        HwgenError: a class folder is missing, unknown or empty; an image is unreadable or smaller than ``shape``.
    """
    folder = find_image_folder(root, name, split)
    found = {path.name for path in folder.iterdir() if path.is_dir()}
    if isinstance(classes, int):
        if len(found) != classes:
            raise HwgenError(f"holds {len(found)} class folders", where=str(folder), allowed=f"{classes}")
        classes = tuple(sorted(found))
    if found != set(classes):
        odd = sorted(found.symmetric_difference(classes))
        raise HwgenError(f"class folders differ: {', '.join(odd)}", where=str(folder), allowed=", ".join(classes))
    images: list[np.ndarray] = []
    labels: list[int] = []
    for label, class_name in enumerate(classes):
        paths = sorted(path for path in (folder / class_name).iterdir() if path.suffix.lower() in SUFFIXES)
        if not paths:
            raise HwgenError("holds no image", where=str(folder / class_name), allowed=", ".join(SUFFIXES))
        images += [read_image(path, shape) for path in paths]
        labels += [label] * len(paths)
    return Dataset(name, np.stack(images), np.asarray(labels, dtype=np.int64), classes)


def read_image(path: Path, shape: tuple[int, int, int]) -> np.ndarray:
    """One image as uint8 [C, H, W], centre-cropped.

    Raises:
        HwgenError: unreadable, too small, or ``shape`` asks for neither one nor three channels.
    """
    channels = shape[0]
    if channels not in (1, 3):
        raise HwgenError(f"images have 1 or 3 channels, not {channels}", where=str(path))
    try:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    except (UnidentifiedImageError, OSError) as error:
        raise HwgenError(f"is no readable image: {error}", where=str(path)) from error
    return centre_crop(pixels.reshape(*pixels.shape[:2], channels), shape, path)


def centre_crop(pixels: np.ndarray, shape: tuple[int, int, int], path: Path) -> np.ndarray:
    """The middle of uint8 ``pixels`` [H, W, C] as [C, H, W] of ``shape``; HwgenError if there is less (of ``path``)."""
    _, height, width = shape
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    if top < 0 or left < 0:
        raise HwgenError(
            f"is {pixels.shape[1]}x{pixels.shape[0]} pixels", where=str(path), allowed=f"at least {width}x{height}"
        )
    return np.ascontiguousarray(pixels[top : top + height, left : left + width].transpose(2, 0, 1))
