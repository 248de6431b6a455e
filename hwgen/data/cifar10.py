"""CIFAR-10 in its public layout, ``cifar-10-batches-py``.

Source: https://www.cs.toronto.edu/~kriz/cifar.html, "CIFAR-10 python version".
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from hwgen.data.dataset import Dataset, Split
from hwgen.errors import HwgenError

FOLDER = "cifar-10-batches-py"
_FILES: dict[str, tuple[str, ...]] = {
    "train": tuple(f"data_batch_{index}" for index in range(1, 6)),
    "test": ("test_batch",),
}
#: All that a batch file needs to be rebuilt: numpy's array reconstruction, under its old and its new module names.
_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy.core.numeric", "_frombuffer"),
    ("numpy._core.numeric", "_frombuffer"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}


class _SafeUnpickler(pickle.Unpickler):
    """Refuses every global but the few that arrays need, so a prepared file cannot run code."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"refused to load {module}.{name}")
        return super().find_class(module, name)


def _read(path: Path) -> dict[Any, Any]:
    try:
        with path.open("rb") as file:
            table = _SafeUnpickler(file, encoding="bytes").load()
    except FileNotFoundError as error:
        raise HwgenError(f"{path.name} is missing", where=str(path.parent)) from error
    except (pickle.UnpicklingError, EOFError, ValueError, AttributeError, IndexError) as error:
        raise HwgenError(f"is no batch file of CIFAR-10: {error}", where=str(path)) from error
    if not isinstance(table, dict):
        raise HwgenError("is no batch file of CIFAR-10: it holds no table", where=str(path))
    return table


def find_cifar10(root: Path) -> Path:
    """The folder of the batches; HwgenError if it is not below ``root``."""
    folder = root / FOLDER
    if not folder.is_dir():
        raise HwgenError(
            f"no folder {FOLDER!r} in {str(root)!r}",
            hint="unpack cifar-10-python.tar.gz (https://www.cs.toronto.edu/~kriz/cifar.html) into a folder "
            "and give that folder with --data",
        )
    return folder


def load_cifar10(root: Path, split: Split) -> Dataset:
    """Read ``root/cifar-10-batches-py``; images uint8 [N, 3, 32, 32].

    Raises:
        HwgenError: the folder or a file is missing or damaged.
    """
    folder = find_cifar10(root)
    meta = _read(folder / "batches.meta")
    images: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    for name in _FILES[split]:
        table = _read(folder / name)
        try:
            data, batch_labels = np.asarray(table[b"data"]), np.asarray(table[b"labels"], dtype=np.int64)
        except (KeyError, TypeError, ValueError) as error:
            raise HwgenError(f"has no usable entry {error}", where=str(folder / name)) from error
        if data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != 3072 or len(data) != len(batch_labels):
            found = f"{data.dtype} {list(data.shape)} with {len(batch_labels)} labels"
            raise HwgenError(f"holds {found}", where=str(folder / name), allowed="uint8 [N, 3072] with N labels")
        images.append(data.reshape(-1, 3, 32, 32))
        labels.append(batch_labels)
    classes = tuple(name.decode() for name in meta[b"label_names"])
    return Dataset("cifar10", np.ascontiguousarray(np.concatenate(images)), np.concatenate(labels), classes)
