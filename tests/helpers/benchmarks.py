"""The scripts in benchmarks/, which import one another by their bare names."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def script(name: str) -> Callable[[], Iterator[ModuleType]]:
    """A fixture: the module of ``benchmarks/<name>.py``."""
    @pytest.fixture(scope="module", name=name)
    def module() -> Iterator[ModuleType]:
        sys.path.insert(0, str(BENCHMARKS))
        try:
            yield import_module(name)
        finally:
            sys.path.remove(str(BENCHMARKS))

    return module
