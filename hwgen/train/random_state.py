"""The global random generators, for libraries that draw from nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

#: largest seed that numpy's global generator takes
MAX_SEED = 2**32 - 1


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """numpy's and torch's global generators, which ART draws from, seeded inside and untouched outside."""
    kept = np.random.get_state()
    np.random.seed(seed)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        np.random.set_state(kept)
