"""The build directory: one folder per completed step, never a half-written one, and one build at a time."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hwgen.errors import HwgenError
from hwgen.pipeline.fingerprint import hash_folder, hash_json

RECORD = "step.json"
#: says that a folder is a build directory; written before anything else
MARKER = ".hwgen"
_WORK, _LOCK = ".work", ".lock"
#: what a finished build has at the top of its directory
PUBLISHED = ("report.json", "report.html", "handoff.zip", "README.md")


@dataclass(frozen=True, kw_only=True)
class StepRecord:
    """What is known of a completed step.

    Args:
        key: hash of everything that determined its result.
        digest: hash of what it wrote, summary included.
        seconds: how long it took.
        summary: its own JSON-ready account.
        needs: digests of the results that it read.
    """

    key: str
    digest: str
    seconds: float
    summary: dict[str, Any]
    needs: dict[str, str] = field(default_factory=dict)


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

    def check(self, steps: Iterable[str] = ()) -> None:
        """Refuse a folder with something else in it: a build replaces files and folders by name.

        Args:
            steps: names of all steps; a folder of this name without a record is not hwgen's.

        Raises:
            HwgenError: not a folder, not empty and no build directory, or with a foreign folder in it.
        """
        hint = "choose another --out, or an empty folder"
        try:
            if not self.root.exists():
                return
            found = {p.name for p in self.root.iterdir()} - {_LOCK}
        except OSError as error:
            raise HwgenError(f"cannot be a build directory: {error.strerror}", where=str(self.root)) from error
        if found and MARKER not in found and not any(self.record(name) for name in found):
            raise HwgenError("is not empty and not a build directory", where=str(self.root), hint=hint)
        for name in steps:
            if name in found and not (self.folder(name) / RECORD).is_file():
                raise HwgenError(f"is no result of hwgen ({RECORD} is missing)", where=str(self.folder(name)),
                                 hint=f"move it away, or {hint}")

    @contextmanager
    def lock(self, steps: Iterable[str] = ()) -> Iterator[None]:
        """Hold the directory, making it first. Removes what a killed build left over.

        Raises:
            HwgenError: see ``check``; it cannot be written; another build is at work in it.
        """
        self.check(steps)
        new = not self.root.exists()
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            stream = (self.root / _LOCK).open("w")
        except OSError as error:
            raise HwgenError(f"cannot be written: {error.strerror}", where=str(self.root),
                             hint="choose another --out") from error
        with stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise HwgenError("another build is at work in this directory", where=str(self.root),
                                 hint="wait for it, or choose another --out") from error
            write_text(self.root / MARKER, "A build directory of hwgen: its files and step folders are replaced.\n")
            shutil.rmtree(self.root / _WORK, ignore_errors=True)
            try:
                yield
            finally:
                self._remove_if_empty(new)

    def _remove_if_empty(self, new: bool) -> None:
        """A build that failed in its first step leaves nothing behind."""
        if {p.name for p in self.root.iterdir()} <= {_LOCK, MARKER}:
            for name in (MARKER, _LOCK):
                (self.root / name).unlink(missing_ok=True)
            if new:
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

    def seal(
        self, scratch: Path, *, key: str, seconds: float, summary: dict[str, Any], needs: dict[str, str]
    ) -> StepRecord:
        """Complete the scratch folder by its record."""
        digest = hash_json([hash_folder(scratch, skip=(RECORD,)), summary])
        record = StepRecord(key=key, digest=digest, seconds=seconds, summary=summary, needs=needs)
        write_json(scratch / RECORD, vars(record))
        return record

    def commit(self, step: str, scratch: Path) -> None:
        """Make the sealed scratch folder the step's result, replacing an earlier one."""
        target, old = self.folder(step), self.root / _WORK / f"{step}.old"
        if target.exists():
            target.rename(old)
        scratch.rename(target)
        shutil.rmtree(old, ignore_errors=True)

    def discard(self, step: str) -> None:
        """Forget a step's result; a folder without a record is not hwgen's and stays."""
        folder, work = self.folder(step), self.root / _WORK
        if not (folder / RECORD).is_file():
            return
        old = work / f"{step}.old"
        work.mkdir(exist_ok=True)
        folder.rename(old)  # at once: a result that is half-removed is none
        shutil.rmtree(old, ignore_errors=True)
        if not any(work.iterdir()):
            work.rmdir()

    def unpublish(self) -> None:
        """Remove what was put at the top of the directory: it shows a build that is not there any more."""
        for name in PUBLISHED:
            (self.root / name).unlink(missing_ok=True)


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
