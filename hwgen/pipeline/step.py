"""A step of the build and what it gets to see while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hwgen.pipeline.request import BuildRequest

#: Called with a line of text that says what a step is doing right now.
Progress = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class StepContext:
    """The world of one running step.

    Args:
        request: what the user asked for.
        out: folder into which the step writes; becomes visible under its name only when the step has succeeded.
        results: folders of the steps before it, by name.
        cache: folder for things that several builds share (compiled simulators, synthesised modules).
        progress: see ``Progress``.
    """

    request: BuildRequest
    out: Path
    results: dict[str, Path]
    cache: Path
    progress: Progress


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step.

    Args:
        name: of the step and of its folder.
        title: what it does, for people.
        needs: earlier steps whose results it reads.
        code: modules that determine its result; a change in them makes it run again.
        inputs: everything else that determines its result, JSON-ready, from the request.
        run: does the work, writes into ``context.out`` and returns a JSON-ready summary.
        wanted: whether this request needs the step at all.
        prepare: makes what has to be there before ``inputs`` is asked and the step runs (a development key).
    """

    name: str
    title: str
    needs: tuple[str, ...]
    code: tuple[str, ...]
    inputs: Callable[[BuildRequest], dict[str, Any]]
    run: Callable[[StepContext], dict[str, Any]]
    wanted: Callable[[BuildRequest], bool] = field(default=lambda request: True)
    prepare: Callable[[BuildRequest], None] = field(default=lambda request: None)
