"""Sweeps on Dask: runs of their own on a local cluster, the same as one after the other, and what fails is named."""

from __future__ import annotations

import dataclasses
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from hwgen.armor import sweep
from hwgen.armor.run import points_of, run
from hwgen.armor.settings import PruneSettings
from hwgen.armor.sweep import SweepTask, make_job, run_sweep, tasks
from hwgen.errors import HwgenError
from hwgen.ttseal.measure import Silent
from hwgen.zoo.recipe import RobustSpec


def first(recipe_file: Path, folder: Path) -> SweepTask:
    settings = PruneSettings(
        objective="area", granule=4, stride=0.1, tolerance=0.5, epochs=1, judge_steps=2, saliency_images=24,
        validation_images=24, robust=RobustSpec(epsilon=4, step=4, steps=1), max_points=1, rounds=1, retries=0)
    return SweepTask(model=str(recipe_file), weights="", data=str(folder), board="ultra96v2", settings=settings,
                     out=str(folder / "sweep"), threads=1)


class Notes(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


@pytest.mark.slow
def test_sweep_equals_single_runs(recipe_file: Path, tmp_path: Path) -> None:
    task, notes = first(recipe_file, tmp_path), Notes()
    work = tasks(task, ["l1", "random"], [0])
    broken = dataclasses.replace(work[0], out=str(tmp_path / "sweep/broken"), board="no_such_board")
    with pytest.raises(HwgenError, match=r"broken: .*no_such_board"):
        run_sweep([*work, broken], notes, workers=2)
    assert sorted(line.split(":")[0] for line in notes.lines) == ["l1-0", "random-0"]
    alone = dataclasses.replace(work[0], out=str(tmp_path / "alone"))
    assert run(make_job(alone)) == points_of(Path(work[0].out))


class Future:
    """What a worker made, or what killed it."""

    def __init__(self, result: dict[str, Any] | Exception) -> None:
        self._result = result

    def exception(self) -> Exception | None:
        return self._result if isinstance(self._result, Exception) else None

    def result(self) -> dict[str, Any]:
        assert not isinstance(self._result, Exception)
        return self._result


def test_a_worker_that_dies_does_not_end_the_sweep(recipe_file: Path, tmp_path: Path,
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    work, notes = tasks(first(recipe_file, tmp_path), ["l1", "random", "taylor"], [0]), Notes()

    class Client:
        def submit(self, function: object, task: SweepTask, **more: object) -> Future:
            last = {"parameters": 1, "cycles": 2, "robust_accuracy": 0.5}
            return Future(OSError("no room on the disk") if task.name.startswith("random") else {
                "name": task.name, "points": 2, "last": last})

    monkeypatch.setattr(sweep, "connect", lambda *_: nullcontext(Client()))
    monkeypatch.setattr(sweep, "completed", iter)
    with pytest.raises(HwgenError, match="random-0: OSError: no room on the disk"):
        run_sweep(work, notes)
    assert [line.split(":")[0] for line in notes.lines] == ["l1-0", "taylor-0"]
