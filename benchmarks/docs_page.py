"""Tables in the pages of docs/, between ``<!-- NAME: begin -->`` and ``<!-- NAME: end -->``."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def write_section(name: str, text: str, page: str = "benchmarks.md") -> None:
    """Put ``text`` between the marks of section ``name`` of ``docs/<page>``."""
    path = ROOT / "docs" / page
    content = path.read_text(encoding="utf-8")
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    head, rest = content.split(begin, 1)
    path.write_text(f"{head}{begin}\n{text}\n{end}{rest.split(end, 1)[1]}", encoding="utf-8")
