"""The line about the attack behind a selection, whatever its file holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hwgen.pipeline.fingerprint import hash_file
from hwgen.report.selection import selection_text
from hwgen.seal import SelectedUnit, Selection
from tests.helpers.small_build import build_small, small_onnx


@pytest.mark.parametrize(("summary", "words"), [
    ({"queries": 1600, "seeds": 3, "holds": True}, ("held", "1,600", "3 seeds")),
    ({"queries": 1600, "seeds": 3, "steps": 2460, "holds": True}, ("1,600 queries and 2,460 steps each",)),
    ({"queries": 1600, "seeds": 3, "holds": False}, ("DID NOT HOLD",)),
    ({}, ("does not say",)),
    ({"queries": "many", "seeds": None, "holds": 1}, ("does not say",)),
])
def test_text(summary: dict[str, object], words: tuple[str, ...]) -> None:
    text = selection_text(summary)
    assert all(word in text for word in words)


def test_a_report_says_how_strong_the_selection_is(tmp_path: Path) -> None:
    model = small_onnx(tmp_path / "small.onnx")
    unit = SelectedUnit(node="fc", layer="fc", units=1, shape=(4, 8, 1, 1))
    summary = {"queries": 800, "seeds": 1, "holds": False}
    path = tmp_path / "s.json"
    path.write_text(json.dumps(Selection(model="small", checkpoint=hash_file(model), units=(unit,),
                                         summary=summary).to_dict()))
    build_small(tmp_path, encrypt=f"@{path}", last="compile")
    program = json.loads((tmp_path / "build/compile/program.json").read_text())
    assert program["selection"] == summary
    build_small(tmp_path, encrypt="all", last="compile")
    assert json.loads((tmp_path / "build/compile/program.json").read_text())["selection"] is None
