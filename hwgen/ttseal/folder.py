"""The folder of a selection: every intermediate result as a JSON file, complete or absent."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hwgen.errors import HwgenError
from hwgen.pipeline.fingerprint import hash_json
from hwgen.pipeline.store import write_json

SETTINGS = "settings.json"


class RunFolder:
    """Results of one run; they are only ever reused with the settings under which they were made.

    Args:
        root: created if missing.
        owner: JSON-ready; everything that decides the results.

    Raises:
        HwgenError: the folder belongs to a run with other settings (the first that differs is named).
    """

    def __init__(self, root: Path, owner: dict[str, Any]) -> None:
        self.root = root
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise HwgenError(f"cannot be created: {error.strerror}", where=str(root)) from error
        found = self.read(SETTINGS)
        wanted = json.loads(json.dumps(owner))
        if found is None:
            write_json(root / SETTINGS, wanted)
        elif found != wanted:
            raise HwgenError(f"belongs to a run with other settings: {_difference(found, wanted)}", where=str(root),
                             hint="choose another --out, or give the same options to continue")

    def read(self, name: str) -> Any | None:
        """A result; None if it is not there yet."""
        path = self.root / name
        try:
            return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
        except ValueError as error:
            raise HwgenError(f"is damaged: {error}", where=str(path), hint="delete it; it is made again") from error

    def write(self, name: str, value: Any) -> Any:
        """Store a result; returns it as it reads back."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, value)
        return json.loads(json.dumps(value))

    def stored(self, name: str, key: Any, make: Callable[[], Any]) -> Any:
        """The stored result if it was made from the same ``key``, else a new one."""
        fingerprint = hash_json(key)
        found = self.read(name)
        if isinstance(found, dict) and found.get("key") == fingerprint:
            return found["value"]
        return self.write(name, {"key": fingerprint, "value": make()})["value"]

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder; HwgenError if another run is at work in it."""
        with (self.root / ".lock").open("w") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise HwgenError("another run is at work in this folder", where=str(self.root),
                                 hint="wait for it, or choose another --out") from error
            yield


def _difference(old: Any, new: Any, where: str = "") -> str:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(set(old) | set(new)):
            if old.get(name) != new.get(name):
                return _difference(old.get(name), new.get(name), f"{where}.{name}" if where else name)
    return f"{where} was {old!r}, is {new!r}"
