"""Recorded calibrations: the activation ranges that were found on real images, shipped beside a recipe.

With one, a build without the data set gives the same integer network as a build with it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwgen.errors import HwgenError
from hwgen.pipeline.fingerprint import hash_file
from hwgen.pipeline.source import ModelSource
from hwgen.pipeline.store import write_json

FILE = "calibration.json"


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """Args:
        origin: the images; method: how the ranges were chosen.
        checkpoint: SHA-256 of the checkpoint that they belong to.
        thresholds: tensor -> magnitude of int8 127.
    """

    origin: str
    method: str
    checkpoint: str
    thresholds: dict[str, float]


def recorded_path(source: ModelSource) -> Path | None:
    """Where a recipe's recorded calibration is, or would be."""
    if source.recipe is None or source.file not in (None, source.recipe.checkpoint):
        return None
    return source.recipe.path.with_suffix(".calibration.json")


def load_recorded(source: ModelSource) -> Recorded | None:
    """The calibration recorded for the recipe's own checkpoint; None if there is none, or one of another checkpoint."""
    path = recorded_path(source)
    if path is None or not path.is_file():
        return None
    assert source.recipe is not None
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        found = Recorded(**values)
    except (ValueError, TypeError) as error:
        raise HwgenError(f"is no calibration: {error}", where=str(path)) from error
    checkpoint = source.recipe.checkpoint
    if checkpoint is None or not checkpoint.is_file() or hash_file(checkpoint) != found.checkpoint:
        return None
    return found


def save_recorded(path: Path, found: Recorded) -> None:
    """Write a calibration."""
    write_json(path, {**vars(found), "thresholds": dict(sorted(found.thresholds.items()))})
