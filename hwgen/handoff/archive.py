"""Checksums and the archive of a hand-off folder; equal folders give equal archives."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

from hwgen.handoff.names import safe_name

SUMS = "SHA256SUMS"
_DATE = (1980, 1, 1, 0, 0, 0)


def files_of(folder: Path) -> list[Path]:
    """All files below ``folder``, sorted."""
    return sorted(p for p in folder.rglob("*") if p.is_file())


def write_checksums(folder: Path) -> None:
    """``SHA256SUMS`` as ``sha256sum -c`` reads it."""
    lines = [f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.relative_to(folder)}"
             for p in files_of(folder) if p.name != SUMS]
    (folder / SUMS).write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_archive(folder: Path, path: Path, root: str) -> None:
    """ZIP of ``folder`` with all names below the folder ``safe_name(root)``."""
    root = safe_name(root)
    with zipfile.ZipFile(path, "w") as archive:
        for file in files_of(folder):
            entry = zipfile.ZipInfo(f"{root}/{file.relative_to(folder)}", _DATE)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, file.read_bytes())
