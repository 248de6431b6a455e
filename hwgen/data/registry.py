"""Data sets by name."""

from __future__ import annotations

from pathlib import Path

from hwgen.data.cifar10 import find_cifar10, load_cifar10
from hwgen.data.dataset import Dataset, Split
from hwgen.data.folders import find_image_folder, image_folders, load_image_folder
from hwgen.data.sar_layouts import LAYOUTS, find_layout, load_layout
from hwgen.data.sar_simulator import NAME as SIMULATED
from hwgen.data.sar_simulator import simulated_sar
from hwgen.errors import HwgenError

#: image folders that others made of a data set -> its publisher's layout, read where there is no such folder
PUBLISHED = {"mstar": "mstar_chips"}


def _present(name: str, root: Path, split: Split) -> str:
    """``name``, or the same data in its publisher's layout if only that is there."""
    layout = PUBLISHED.get(name)
    if layout is None or not (root / LAYOUTS[layout].folder).is_dir():
        return name
    return name if any(folder.is_dir() for folder in image_folders(root, name, split)) else layout


def require_dataset(name: str, root: Path, split: Split) -> None:
    """HwgenError (where to put it is said) unless a split of data set ``name`` is below ``root``; reads no image."""
    name = _present(name, root, split)
    if name == "cifar10":
        find_cifar10(root)
    elif name in LAYOUTS:
        find_layout(name, root)
    elif name != SIMULATED:
        find_image_folder(root, name, split)


def load_dataset(
    name: str, root: Path, split: Split, shape: tuple[int, int, int], classes: tuple[str, ...] | int
) -> Dataset:
    """Read a split of data set ``name`` for a network of input ``shape`` (C, H, W).

    ``classes``: names in label order, or how many there are, in the order of their sorted names.

    ``"cifar10"`` is read from ``root/cifar-10-batches-py``; ``"sample"``, ``"sample_simulated"`` (learns from simulated
    chips, is tested on measured ones), ``"fusar_ship"`` and ``"mstar_chips"`` from the folders that their archives
    unpack to; ``"sar_simulated"`` is made by hwgen, for tests and examples. Every other name, ``"mstar"`` for one, is
    an image folder, ``root/<name>/<split>`` or ``root/<split>``, with one folder per class; where ``"mstar"`` has
    none, its chips are read in their own format (``"mstar_chips"``) if they are there.

    Raises:
        HwgenError: not there (where to put it is said), damaged, or of another shape or other classes.
    """
    if name == SIMULATED:
        return simulated_sar(split, shape, classes if isinstance(classes, tuple) else tuple(map(str, range(classes))))
    if not root.is_dir():
        hint = "give the folder that holds the data set with --data"
        raise HwgenError(f"folder {str(root)!r} does not exist", hint=hint)
    name = _present(name, root, split)
    if name in LAYOUTS:
        return load_layout(name, root, split, shape=shape, classes=classes)
    if name != "cifar10":
        return load_image_folder(root, name, split, shape=shape, classes=classes)
    dataset = load_cifar10(root, split)
    if dataset.images.shape[1:] != shape:
        raise HwgenError(f"images of {name} are {dataset.images.shape[1:]}, the network's input is {shape}")
    if classes not in (dataset.classes, len(dataset.classes)):
        raise HwgenError(f"classes of {name} differ from the recipe's", allowed=", ".join(dataset.classes))
    return dataset
