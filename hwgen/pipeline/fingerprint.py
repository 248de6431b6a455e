"""Content hashes: of files, of folders, of source code, of JSON values. They decide whether a step can be reused."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any


def hash_json(value: Any) -> str:
    """SHA-256 of a JSON-ready value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hash_folder(folder: Path, skip: Iterable[str] = ()) -> str:
    """SHA-256 over names and contents of all files below ``folder`` except those named in ``skip``."""
    skipped = set(skip)
    return hash_json({
        str(p.relative_to(folder)): hash_file(p)
        for p in sorted(folder.rglob("*")) if p.is_file() and p.name not in skipped
    })


@cache
def hash_code(module: str) -> str:
    """SHA-256 of the Python sources of a module or package, so that changed code makes its results stale."""
    spec = importlib.util.find_spec(module)
    if spec is None:
        return "absent"
    if spec.submodule_search_locations:
        roots = [Path(r) for r in spec.submodule_search_locations]
        files = sorted(p for root in roots for p in root.rglob("*.py"))
    else:
        files = [Path(spec.origin)] if spec.origin else []
    return hash_json([hash_file(p) for p in files])
