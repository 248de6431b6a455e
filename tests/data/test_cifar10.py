"""CIFAR-10's layout: what is read, what is refused."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from hwgen.data import load_dataset
from hwgen.errors import HwgenError

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def write_cifar10(root: Path, per_file: int = 4) -> np.ndarray:
    """A tiny data set in the public layout; returns the training images [N, 3, 32, 32]."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    parts = []
    for name in (*(f"data_batch_{index}" for index in range(1, 6)), "test_batch"):
        data = rng.integers(0, 256, size=(per_file, 3072), dtype=np.uint8)
        labels = [int(value) for value in rng.integers(0, 10, per_file)]
        names = [np.bytes_(f"{index}.png") for index in range(per_file)]
        table = {b"batch_label": name.encode(), b"labels": labels, b"data": data, b"filenames": names}
        (folder / name).write_bytes(pickle.dumps(table))
        parts.append(data)
    (folder / "batches.meta").write_bytes(pickle.dumps({b"label_names": [name.encode() for name in CLASSES]}))
    return np.concatenate(parts[:-1]).reshape(-1, 3, 32, 32)


def load(root: Path, split: str = "train", shape: tuple[int, int, int] = (3, 32, 32)):
    return load_dataset("cifar10", root, "train" if split == "train" else "test", shape, CLASSES)


def test_both_splits(tmp_path: Path) -> None:
    images = write_cifar10(tmp_path)
    train, test = load(tmp_path), load(tmp_path, "test")
    assert np.array_equal(train.images, images)
    assert (len(train), len(test)) == (20, 4)
    assert train.labels.dtype == np.int64
    assert train.classes == CLASSES


def test_samples_are_seeded_and_without_repeats(tmp_path: Path) -> None:
    write_cifar10(tmp_path)
    train = load(tmp_path)
    first, second, other = train.sample(8, 0), train.sample(8, 0), train.sample(8, 1)
    assert np.array_equal(first.images, second.images)
    assert not np.array_equal(first.images, other.images)
    assert len({image.tobytes() for image in train.sample(100, 0).images}) == 20


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(HwgenError, match=r"no folder 'cifar-10-batches-py'.*\n  hint: unpack cifar-10-python.tar.gz"):
        load(tmp_path)
    with pytest.raises(HwgenError, match="does not exist\n  hint: give the folder that holds the data set with --data"):
        load(tmp_path / "nowhere")
    write_cifar10(tmp_path)
    (tmp_path / "cifar-10-batches-py" / "data_batch_3").unlink()
    with pytest.raises(HwgenError, match="cifar-10-batches-py: data_batch_3 is missing"):
        load(tmp_path)


class Bomb:
    """Pickles into a call of os.system."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch exploded",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps(Bomb()), "refused to load posix.system"),
        (b"not a pickle", "is no batch file"),
        (pickle.dumps([1, 2]), "holds no table"),
        (pickle.dumps({b"labels": [0]}), "no usable entry b'data'"),
        (pickle.dumps({b"labels": [0], b"data": np.zeros((2, 3072), np.uint8)}), "with 1 labels\n  allowed: uint8"),
        (pickle.dumps({b"labels": [0], b"data": np.zeros((1, 100), np.uint8)}), r"holds uint8 \[1, 100\]"),
    ],
)
def test_damaged_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    write_cifar10(tmp_path)
    (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(content)
    with pytest.raises(HwgenError, match=message):
        load(tmp_path)
    assert not (tmp_path / "exploded").exists()


def test_another_shape_or_other_classes(tmp_path: Path) -> None:
    write_cifar10(tmp_path)
    with pytest.raises(HwgenError, match=r"the network's input is \(1, 88, 88\)"):
        load(tmp_path, shape=(1, 88, 88))
    with pytest.raises(HwgenError, match="classes of cifar10 differ"):
        load_dataset("cifar10", tmp_path, "train", (3, 32, 32), CLASSES[::-1])
