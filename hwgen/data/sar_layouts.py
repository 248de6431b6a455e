"""Radar data sets in the layouts in which they are published: MSTAR's own chips, SAMPLE and FUSAR-Ship.

Every chip is cropped in its middle to the network's input: in MSTAR the size of a chip depends on the class and would
give the label away.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwgen.data.dataset import Dataset, Split
from hwgen.data.folders import centre_crop, read_image
from hwgen.errors import HwgenError

#: share of FUSAR-Ship's chips that are test images; which ones is decided by a hash of their names
_FUSAR_TEST = 0.2
_FUSAR_SUFFIXES = (".tiff", ".tif", ".png")
_ELEVATION = re.compile(r"_elevDeg_(\d{3})_")


@dataclass(frozen=True)
class Layout:
    """A published layout.

    Args:
        folder: that the archive unpacks to, below ``--data``.
        where: how to get it.
        files: (folder, split) -> (class name, file) of every chip.
        read: a chip as uint8 [H, W] or [1, H, W], cropped to (1, H, W).
        ignored: characters in which the names of a class may differ (MSTAR's folder BTR_60 is everybody's BTR60).
    """

    folder: str
    where: str
    files: Callable[[Path, Split], Iterator[tuple[str, Path]]]
    read: Callable[[Path, tuple[int, int, int]], np.ndarray] = read_image
    ignored: str = ""

    def named(self, found: Sequence[tuple[str, Path]], classes: tuple[str, ...]) -> list[tuple[str, Path]]:
        """The files with their classes spelled as in ``classes``, where they are among them."""
        drop = str.maketrans("", "", self.ignored)
        spelled = {name.translate(drop): name for name in classes}
        return [(spelled.get(name.translate(drop), name), path) for name, path in found]


def _sample(kind: str, folder: Path, split: Split) -> Iterator[tuple[str, Path]]:
    """Chips of 17 degrees are test images and always measured ones; the training images are those of 14 to 16 degrees,
    measured or simulated."""
    root = folder / "png_images" / "qpm" / ("real" if split == "test" else kind)
    for path in sorted(root.glob("*/*.png")):
        found = _ELEVATION.search(path.name)
        if found is None:
            raise HwgenError("name says no elevation", where=str(path), allowed="CLASS_KIND_A_elevDeg_NNN_...png")
        if (int(found[1]) == 17) == (split == "test"):
            yield path.parent.name, path


def _sample_measured(folder: Path, split: Split) -> Iterator[tuple[str, Path]]:
    return _sample("real", folder, split)


def _sample_simulated(folder: Path, split: Split) -> Iterator[tuple[str, Path]]:
    return _sample("synth", folder, split)


def _fusar(folder: Path, split: Split) -> Iterator[tuple[str, Path]]:
    """Classes are the outer folders. The authors give no split."""
    for path in sorted(folder.glob("*/**/*")):
        if path.suffix.lower() in _FUSAR_SUFFIXES:
            test = zlib.crc32(path.stem.encode()) < _FUSAR_TEST * 2**32
            if test == (split == "test"):
                yield path.relative_to(folder).parts[0], path


def _mstar(folder: Path, split: Split) -> Iterator[tuple[str, Path]]:
    """The targets CD: 17 degrees for training, 15 for test; the class is the first folder below."""
    for part in sorted(folder.rglob("17_DEG" if split == "train" else "15_DEG")):
        for path in sorted(p for p in part.rglob("HB*.[0-9][0-9][0-9]") if p.is_file()):
            inside = [p for p in path.relative_to(part).parts[:-1] if not re.fullmatch(r"(COL|SCENE)\d+", p)]
            if inside:
                yield inside[0], path


def read_mstar_chip(path: Path, shape: tuple[int, int, int]) -> np.ndarray:
    """Magnitude of a chip in MSTAR's Phoenix format as uint8 [1, H, W]; the brightest 0.5 % of its pixels saturate.

    The file is a text header, a native header, and big-endian float32 magnitudes (then phases), row by row.

    Raises:
        HwgenError: no such file, damaged, or smaller than ``shape``.
    """
    data = path.read_bytes()
    text = data[:4096].decode("latin-1")
    fields = dict(re.findall(r"^\s*(\w+)\s*=\s*(\d+)", text.split("[EndofPhoenixHeader]")[0], re.MULTILINE))
    try:
        rows, columns = int(fields["NumberOfRows"]), int(fields["NumberOfColumns"])
        begin = int(fields["PhoenixHeaderLength"]) + int(fields["native_header_length"])
        magnitude = np.frombuffer(data, ">f4", rows * columns, begin).reshape(rows, columns)
    except (KeyError, ValueError) as error:
        raise HwgenError(f"is no chip of MSTAR: {error}", where=str(path)) from error
    top = float(np.quantile(magnitude, 0.995)) or 1.0
    pixels = np.clip(np.rint(magnitude / top * 255), 0, 255).astype(np.uint8)
    return centre_crop(pixels[:, :, None], shape, path)


LAYOUTS: dict[str, Layout] = {
    "sample": Layout(
        "SAMPLE_dataset_public", "clone github.com/benjaminlewis-afrl/SAMPLE_dataset_public", _sample_measured),
    "sample_simulated": Layout(
        "SAMPLE_dataset_public", "clone github.com/benjaminlewis-afrl/SAMPLE_dataset_public", _sample_simulated),
    "fusar_ship": Layout(
        "FUSAR_Ship1.0", "unpack FUSAR_Ship1.0.zip of Fudan University (emwlab.fudan.edu.cn, FUSAR-Ship)", _fusar),
    "mstar_chips": Layout(
        "MSTAR_PUBLIC_TARGETS", "unpack the MSTAR public targets of AFRL (www.sdms.afrl.af.mil, collection MSTAR)",
        _mstar, read_mstar_chip, ignored="_"),
}


def find_layout(name: str, root: Path) -> Path:
    """The folder of data set ``name`` below ``root``; HwgenError says where to put it."""
    layout = LAYOUTS[name]
    folder = root / layout.folder
    if not folder.is_dir():
        raise HwgenError(f"no folder {layout.folder!r} in {str(root)!r}",
                         hint=f"{layout.where} into a folder and give that folder with --data")
    return folder


def load_layout(
    name: str, root: Path, split: Split, *, shape: tuple[int, int, int], classes: tuple[str, ...] | int,
) -> Dataset:
    """Read a split of ``name``; chips of classes that are not named are left out.

    Args:
        root: holds the data set's folder.
        shape: (1, H, W).
        classes: names of class folders in label order, or their number: all there are, in sorted order.

    Raises:
        HwgenError: not there, another number of classes, a class without chips, an unreadable or too small chip.
    """
    folder, layout = find_layout(name, root), LAYOUTS[name]
    if shape[0] != 1:
        raise HwgenError(f"chips have one channel, the network's input has {shape[0]}", where=name)
    found = list(layout.files(folder, split))
    names = tuple(sorted({class_name for class_name, _ in found}))
    if isinstance(classes, int):
        if len(names) != classes:
            raise HwgenError(f"holds {len(names)} classes in split {split!r}", where=str(folder), allowed=f"{classes}")
        classes = names
    found = layout.named(found, classes)
    names = tuple(sorted({class_name for class_name, _ in found}))
    if missing := sorted(set(classes) - set(names)):
        raise HwgenError(f"no {split} chip of class {missing[0]!r}", where=str(folder),
                         allowed=", ".join(names) or "none found: is the archive unpacked whole?")
    chosen = [(classes.index(class_name), path) for class_name, path in found if class_name in classes]
    chosen.sort(key=lambda pair: pair[0])
    images = np.stack([layout.read(path, shape) for _, path in chosen])
    return Dataset(name, images, np.array([label for label, _ in chosen], np.int64), classes)
