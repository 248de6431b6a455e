"""docs/isa.md is generated and current."""

from __future__ import annotations

from pathlib import Path

from hwgen.isa.document import isa_markdown
from hwgen.isa.layout import COMPUTE_FIELDS, ComputeFlag


def test_document_is_current():
    path = Path(__file__).parents[2] / "docs" / "isa.md"
    assert path.read_text(encoding="utf-8") == isa_markdown(), "run python -m hwgen.isa.document docs/isa.md"


def test_everything_is_explained():
    text = isa_markdown()
    for field in COMPUTE_FIELDS:
        assert f"| {field.name} |" in text
    for flag in ComputeFlag:
        line = next(row for row in text.splitlines() if f"| {flag.name} |" in row)
        assert len(line.split("|")[3].strip()) > 10
