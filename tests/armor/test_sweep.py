"""Sweeps on Dask: runs of their own on a local cluster, the same as one after the other, and what fails is named."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

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


def test_scheduler_that_does_not_answer(recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import distributed  # noqa: PLC0415

    def refuse(address: str, timeout: float) -> None:
        raise OSError(f"no answer from {address} in {timeout} s")

    monkeypatch.setattr(distributed, "Client", refuse)
    with pytest.raises(HwgenError, match=r"--scheduler: no Dask scheduler answers: no answer from tcp://127\.0\.0\.1:1"):
        run_sweep([first(recipe_file, tmp_path)], Silent(), scheduler="tcp://127.0.0.1:1")
