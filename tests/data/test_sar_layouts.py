"""Radar data sets in their published layouts: found, split, cropped in the middle; what is missing is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hwgen.data import load_dataset
from hwgen.data.registry import require_dataset
from hwgen.data.sar_layouts import LAYOUTS, read_mstar_chip
from hwgen.errors import HwgenError

SHAPE = (1, 8, 8)


def picture(path: Path, value: int, size: tuple[int, int] = (12, 10)) -> None:
    """A grey picture whose border is black."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros(size, np.uint8)
    pixels[1:-1, 1:-1] = value
    Image.fromarray(pixels).save(path)


def chip(path: Path, magnitude: np.ndarray) -> None:
    """A file in MSTAR's Phoenix format, with a native header of 512 bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows, columns = magnitude.shape
    body = f"NumberOfColumns= {columns}\nNumberOfRows= {rows}\nnative_header_length= 512\nTargetType= t72_tank\n"
    end = "[EndofPhoenixHeader]\n"
    first = "[PhoenixHeaderVer01.04]\nPhoenixHeaderLength= {:05d}\nPhoenixSigSize= 0\n"
    length = len(first.format(0)) + len(body) + len(end)
    header = (first.format(length) + body + end).encode()
    phases = np.zeros(magnitude.shape, ">f4")
    path.write_bytes(header + bytes(512) + magnitude.astype(">f4").tobytes() + phases.tobytes())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for label, name in enumerate(("2s1", "m1")):
        for kind in ("real", "synth"):
            for elevation in (15, 16, 17):
                file = f"{name}_{kind}_A_elevDeg_{elevation:03}_azCenter_010_22_serial_b01.png"
                picture(tmp_path / "SAMPLE_dataset_public/png_images/qpm" / kind / name / file,
                        100 * label + elevation + 50 * (kind == "synth"))
    for number in range(40):
        picture(tmp_path / "FUSAR_Ship1.0/Cargo/BulkCarrier" / f"Ship_C01S02N{number:04}.tiff", 10)
        picture(tmp_path / "FUSAR_Ship1.0/Tanker/OilTanker" / f"Ship_C09S01N{number:04}.tiff", 90)
    targets = tmp_path / "MSTAR_PUBLIC_TARGETS/TARGETS"
    for part, value in (("TRAIN/17_DEG", 2.0), ("TEST/15_DEG", 5.0)):
        chip(targets / part / "T72/SN_132/HB03814.015", np.full((12, 12), value))
        chip(targets / part / "COL1/SCENE1/2S1/HB14931.000", np.arange(144.0).reshape(12, 12))
    return tmp_path


def test_sample_is_split_by_elevation(root: Path) -> None:
    train = load_dataset("sample", root, "train", SHAPE, ("2s1", "m1"))
    test = load_dataset("sample", root, "test", SHAPE, ("2s1", "m1"))
    assert train.images[:, 0, 4, 4].tolist() == [15, 16, 115, 116] and train.labels.tolist() == [0, 0, 1, 1]
    assert test.images[:, 0, 4, 4].tolist() == [17, 117]
    assert train.images.shape == (4, 1, 8, 8) and train.images.min() > 0, "the black border is cropped away"
    simulated = load_dataset("sample_simulated", root, "train", SHAPE, 2)
    assert simulated.images[:, 0, 4, 4].tolist() == [65, 66, 165, 166]
    measured = load_dataset("sample_simulated", root, "test", SHAPE, 2)
    np.testing.assert_array_equal(measured.images, test.images)


def test_fusar_ship_is_split_by_names(root: Path) -> None:
    train = load_dataset("fusar_ship", root, "train", SHAPE, ("Tanker", "Cargo"))
    test = load_dataset("fusar_ship", root, "test", SHAPE, ("Tanker", "Cargo"))
    assert len(train) + len(test) == 80 and 5 <= len(test) <= 30
    assert set(zip(train.labels.tolist(), train.images[:, 0, 4, 4].tolist(), strict=True)) == {(0, 90), (1, 10)}
    again = load_dataset("fusar_ship", root, "test", SHAPE, ("Tanker",))
    np.testing.assert_array_equal(again.images, test.images[test.labels == 0])


def test_mstar_chips_in_their_own_format(root: Path) -> None:
    train = load_dataset("mstar_chips", root, "train", SHAPE, ("2S1", "T72"))
    assert train.classes == ("2S1", "T72") and train.labels.tolist() == [0, 1]
    assert (train.images[1] == 255).all(), "a chip of one magnitude"
    rows = train.images[0, 0].astype(int)
    assert rows[0, 0] == round(26 / np.quantile(np.arange(144), 0.995) * 255), "row 2, column 2 of the chip"
    assert (np.diff(rows, axis=1) >= 0).all() and rows[0, 0] < rows[-1, -1]


def test_mstar_is_read_in_its_own_format_where_there_are_no_image_folders(root: Path) -> None:
    targets = root / "MSTAR_PUBLIC_TARGETS/TARGETS"
    chip(targets / "TEST/15_DEG/BTR_60/HB05021.003", np.full((12, 12), 3.0))
    require_dataset("mstar", root, "test")
    test = load_dataset("mstar", root, "test", SHAPE, ("T72", "BTR60"))  # the folder's name is BTR_60
    assert (test.name, test.classes, test.labels.tolist()) == ("mstar_chips", ("T72", "BTR60"), [0, 1])
    picture(root / "mstar/test/T72/a.png", 7)
    picture(root / "mstar/test/BTR60/b.png", 9)
    folders = load_dataset("mstar", root, "test", SHAPE, ("T72", "BTR60"))
    assert folders.name == "mstar" and folders.images[:, 0, 4, 4].tolist() == [7, 9]


def test_damaged_chip_is_named(root: Path) -> None:
    path = root / "MSTAR_PUBLIC_TARGETS/TARGETS/TRAIN/17_DEG/T72/SN_132/HB03814.015"
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(HwgenError, match=r"HB03814\.015: is no chip of MSTAR"):
        read_mstar_chip(path, SHAPE)


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_what_is_missing_says_where_to_put_it(tmp_path: Path, name: str) -> None:
    for call in (lambda: require_dataset(name, tmp_path, "train"),
                 lambda: load_dataset(name, tmp_path, "train", SHAPE, 2)):
        with pytest.raises(HwgenError, match=f"no folder '{LAYOUTS[name].folder}' in .*\n  hint: .* --data"):
            call()


def test_wrong_classes_are_named(root: Path) -> None:
    with pytest.raises(HwgenError, match="no train chip of class 'bmp2'\n  allowed: 2s1, m1"):
        load_dataset("sample", root, "train", SHAPE, ("2s1", "bmp2"))
    with pytest.raises(HwgenError, match="holds 2 classes in split 'test'"):
        load_dataset("fusar_ship", root, "test", SHAPE, 3)
    with pytest.raises(HwgenError, match="is 10x12 pixels\n  allowed: at least 11x11"):
        load_dataset("sample", root, "train", (1, 11, 11), 2)
