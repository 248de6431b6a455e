"""The build directory: one folder per completed step, never a half-written one, and one build at a time."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwgen.errors import HwgenError
from hwgen.pipeline.fingerprint import hash_folder, hash_json

RECORD = "step.json"
_WORK = ".work"


@dataclass(frozen=True, kw_only=True)
class StepRecord:
    """What is known of a completed step.

    Args:
        key: hash of everything that determined its result.
        digest: hash of what it wrote, summary included.
        seconds: how long it took.
        summary: its own JSON-ready account.
    """

    key: str
    digest: str
    seconds: float
    summary: dict[str, Any]


class BuildStore:
    """Access to one build directory.

    Args:
        root: the build directory; created on first use.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, step: str) -> Path:
        """Where the step's result is, or will be."""
        return self.root / step

    def record(self, step: str) -> StepRecord | None:
        """The record of a completed step; None if it has not been completed."""
        path = self.folder(step) / RECORD
        if not path.is_file():
            return None
        try:
            return StepRecord(**json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError):
            return None

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the directory; HwgenError if another build is at work in it. Removes what a killed build left over."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise HwgenError(f"cannot be created: {error.strerror}", where=str(self.root)) from error
        with (self.root / ".lock").open("w") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise HwgenError("another build is at work in this directory", where=str(self.root),
                                 hint="wait for it, or choose another --out") from error
            shutil.rmtree(self.root / _WORK, ignore_errors=True)
            try:
                yield
            finally:
                self._remove_if_empty()

    def _remove_if_empty(self) -> None:
        """A build that failed in its first step leaves nothing behind."""
        if [p.name for p in self.root.iterdir()] == [".lock"]:
            (self.root / ".lock").unlink()
            self.root.rmdir()

    @contextmanager
    def writing(self, step: str) -> Iterator[Path]:
        """A scratch folder for the step's files; removed again unless ``commit`` has moved it into place."""
        scratch = self.root / _WORK / step
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        try:
            yield scratch
        finally:
            shutil.rmtree(self.root / _WORK, ignore_errors=True)

    def commit(self, step: str, scratch: Path, *, key: str, seconds: float, summary: dict[str, Any]) -> StepRecord:
        """Make the scratch folder the step's result, replacing an earlier one."""
        digest = hash_json([hash_folder(scratch, skip=(RECORD,)), summary])
        record = StepRecord(key=key, digest=digest, seconds=seconds, summary=summary)
        write_json(scratch / RECORD, vars(record))
        target, old = self.folder(step), self.root / _WORK / f"{step}.old"
        if target.exists():
            target.rename(old)
        scratch.rename(target)
        shutil.rmtree(old, ignore_errors=True)
        return record

    def discard(self, step: str) -> None:
        """Forget a step's result."""
        shutil.rmtree(self.folder(step), ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file so that at any moment either the old or the complete new content is there."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> None:
    """Like ``write_text``, for bytes."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        scratch.write_bytes(data)
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file like ``write_text``."""
    write_text(path, json.dumps(value, indent=1, sort_keys=False) + "\n")
