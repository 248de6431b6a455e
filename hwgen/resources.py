"""Where the data folders (boards, models) are: in the wheel or in the checkout."""

from __future__ import annotations

from pathlib import Path


def _data_dir(name: str) -> Path:
    package = Path(__file__).resolve().parent
    for candidate in (package / "_data" / name, package.parent / name):
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(f"data folder {name!r} is missing from the installation of hwgen")


def models_dir() -> Path:
    """Folder of the model zoo: one TOML recipe per model, with its checkpoints."""
    return _data_dir("models")


def boards_dir() -> Path:
    """Folder of the board files: one TOML per board."""
    return _data_dir("boards")
