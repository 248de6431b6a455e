"""The rounding rule against the shared vectors."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import numpy as np
import pytest

from hwgen.golden.requantise import requantise
from hwgen.ir.nodes import Requantise

VECTORS = Path(__file__).parents[1] / "vectors"


def vectors() -> list[dict]:
    return json.loads((VECTORS / "requantise.json").read_text())


def test_vectors_are_what_the_script_makes():
    assert runpy.run_path(str(VECTORS / "make_requantise.py"))["make"]() == vectors()


def test_vectors_cover_the_corners():
    cases = vectors()
    assert {c["shift"] for c in cases} == set(range(1, 48))
    assert any(c["expected"] == -128 for c in cases) and any(c["expected"] == 127 for c in cases)
    assert any(c["acc"] == -(2**31) for c in cases) and any(c["mult"] == 65535 for c in cases)


@pytest.mark.parametrize("residual", [False, True])
def test_requantise_equals_unbounded_arithmetic(residual):
    cases = [c for c in vectors() if residual or c["res_mult"] == 0]
    for bounds in sorted({(c["lo"], c["hi"]) for c in cases}):
        chosen = [c for c in cases if (c["lo"], c["hi"]) == bounds]

        def column(name, dtype, rows=chosen):
            return np.array([c[name] for c in rows], dtype)

        parameters = Requantise(
            multiplier=column("mult", np.int64), shift=column("shift", np.int64),
            residual_multiplier=column("res_mult", np.int64), lo=bounds[0], hi=bounds[1],
        )
        res = column("res", np.int8)[None] if residual else None
        found = requantise(column("acc", np.int32)[None], parameters, res)
        assert found.dtype == np.int8
        assert found[0].tolist() == [c["expected"] for c in chosen]
