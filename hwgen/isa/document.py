"""Writes docs/isa.md from the instruction set's tables: ``python -m hwgen.isa.document docs/isa.md``."""

from __future__ import annotations

import ast
import inspect
import sys
from enum import IntEnum
from pathlib import Path

from hwgen.isa import layout
from hwgen.isa.layout import (
    COMPUTE_FIELDS,
    LOAD_FIELDS,
    LOAD_STEP_FIELDS,
    STORE_FIELDS,
    STORE_STEP_FIELDS,
    ComputeFlag,
    Field,
    LoadFlag,
    LoadKind,
    Opcode,
)


def isa_markdown() -> str:
    """The whole document."""
    texts = _member_texts()
    parts = [
        "# Instruction set", "",
        f"Version {layout.ISA_VERSION}. Generated from `hwgen/isa/layout.py` by "
        "`python -m hwgen.isa.document docs/isa.md`, do not edit. What the fields do together is in `architecture.md`.",
        "",
        f"A descriptor is a whole number of {layout.WORD_BYTES}-byte words, little-endian; fields are packed from "
        "bit 0 upwards in the order given, bits behind the last field are 0. Signed fields are two's complement.", "",
        "## Program memory", "",
        "Word 0 is the header; the three programs lie where it says.", "",
        "| bits | field | meaning |", "|---:|---|---|",
        "| 15:0 | compute_at | word of the first compute descriptor |",
        "| 31:16 | load_at | word of the first load descriptor |",
        "| 47:32 | store_at | word of the first store descriptor |",
        "| 71:48 | ring_lines | lines of weight memory that form the ring |",
        "| 79:72 | isa_version | must equal the hardware's |",
        "| 127:80 | | 0 |", "",
    ]
    for title, fields, enums in (
        ("Compute descriptor", COMPUTE_FIELDS, (Opcode, ComputeFlag)),
        ("Load descriptor", LOAD_FIELDS, (LoadKind, LoadFlag)),
        ("Load step descriptor", LOAD_STEP_FIELDS, ()),
        ("Store descriptor", STORE_FIELDS, ()),
        ("Store step descriptor", STORE_STEP_FIELDS, ()),
    ):
        words = layout.words_of(fields)
        parts += [f"## {title}", "", f"{words} word{'s' if words > 1 else ''}.", "", *_field_table(fields), ""]
        for enum in enums:
            parts += [f"### {enum.__name__}", "", inspect.getdoc(enum) or "", "", *_enum_table(enum, texts), ""]
    return "\n".join(parts).rstrip() + "\n"


def _field_table(fields: tuple[Field, ...]) -> list[str]:
    rows, at = ["| bits | field | type | meaning |", "|---:|---|---|---|"], 0
    for field in fields:
        bits = f"{at + field.width - 1}:{at}" if field.width > 1 else str(at)
        rows.append(f"| {bits} | {field.name} | {'i' if field.signed else 'u'}{field.width} | {field.text} |")
        at += field.width
    return rows


def _enum_table(enum: type[IntEnum], texts: dict[tuple[str, str], str]) -> list[str]:
    head = "bit" if enum in (ComputeFlag, LoadFlag) else "value"
    rows = [f"| {head} | name | meaning |", "|---:|---|---|"]
    return rows + [f"| {m.value} | {m.name} | {texts.get((enum.__name__, m.name), '')} |" for m in enum]


def _member_texts() -> dict[tuple[str, str], str]:
    """(class, member) -> the ``#:`` comment behind it in the source."""
    source = inspect.getsource(layout)
    lines = source.splitlines()
    texts = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef):
            for item in node.body:
                if isinstance(item, ast.Assign) and isinstance(item.targets[0], ast.Name):
                    _, _, comment = lines[item.lineno - 1].partition("#:")
                    texts[node.name, item.targets[0].id] = comment.strip()
    return texts


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(isa_markdown(), encoding="utf-8")
