"""Whether the results in a build directory belong together: each was made from those that are there now."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from hwgen.errors import HwgenError
from hwgen.pipeline.fingerprint import hash_file
from hwgen.pipeline.saved import load_request
from hwgen.pipeline.store import BuildStore


def check_chain(folder: Path, steps: Iterable[str]) -> None:
    """Follow ``steps`` back to the model.

    Raises:
        HwgenError: no build; a step is missing or was made from other results. Names it and the command to run.
    """
    saved, store = load_request(folder), BuildStore(folder)
    hint = f"complete the build: {saved.command}"
    waiting, seen = list(steps), set[str]()
    while waiting:
        name = waiting.pop(0)
        record = store.record(name)
        if record is None:
            raise HwgenError(f"step {name!r} is not complete", where=str(folder), hint=hint)
        for need, digest in record.needs.items():
            found = store.record(need)
            if found is not None and found.digest != digest:
                raise HwgenError(f"step {name!r} is stale: it was made from another result of step {need!r}",
                                 where=str(folder), hint=hint)
            if need not in seen:
                seen.add(need)
                waiting.append(need)


def check_published(folder: Path) -> None:
    """Whether what lies at the top of the directory is what its steps have made.

    Raises:
        HwgenError: as ``check_chain``, or a file is missing, damaged or of another build.
    """
    if not any((folder / name).is_file() for name in ("request.json", "report.json")):
        raise HwgenError("holds no finished build (report.json is missing)", where=str(folder),
                         hint="run 'hwgen build' first")
    check_chain(folder, ("handoff", "report"))
    hint = f"complete the build: {load_request(folder).command}"
    for step, name in (("report", "report.json"), ("report", "report.html"), ("handoff", "handoff.zip")):
        top, own = folder / name, folder / step / name
        if not top.is_file():
            raise HwgenError(f"{name} is missing", where=str(folder), hint=hint)
        if not own.is_file() or not _same(top, own):
            raise HwgenError(f"{name} is not the one that step {step!r} has made", where=str(folder), hint=hint)


def _same(top: Path, own: Path) -> bool:
    """The report at the top holds the seconds of all steps, its own step cannot know the last ones."""
    if top.suffix != ".json":
        return hash_file(top) == hash_file(own)
    try:
        one, two = (json.loads(p.read_text(encoding="utf-8")) for p in (top, own))
        return {**one, "steps": {}} == {**two, "steps": {}}
    except (ValueError, TypeError) as error:
        raise HwgenError(f"is damaged: {error}", where=str(top), hint="build again") from error
