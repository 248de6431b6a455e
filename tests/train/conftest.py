"""One thread, so that runs are the same everywhere, and a tiny data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.torch_threads import one_thread

__all__ = ["one_thread"]



@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Noisy vertical or horizontal stripes, 32 + 16 images per class."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 32), ("test", 16)):
        for name in ("bars", "rows"):
            folder = tmp_path / "data" / "shapes" / split / name
            folder.mkdir(parents=True)
            for index in range(count):
                stripes = np.tile(np.where((np.arange(12) + index) // 2 % 2, 200, 60), (12, 1))
                pixels = (stripes if name == "bars" else stripes.T) + rng.normal(0, 25, (12, 12))
                Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(folder / f"{index:02}.png")
    return tmp_path / "data"
