"""Plain runs serve both styles of accelerator: when, and what their networks are priced as."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from hwgen.armor.run import ENOUGH
from hwgen.armor.settings import PruneSettings
from hwgen.armor.sweep import SweepTask
from tests.helpers.benchmarks import script

armor_runs = script("armor_runs")


@pytest.fixture(autouse=True)
def checkpoint_c(armor_runs: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the network that runs are sought for."""
    monkeypatch.setattr(armor_runs, "load_model", lambda *_: SimpleNamespace(checkpoint="c"))


def task(out: Path, **changed: Any) -> SweepTask:
    settings = PruneSettings(**{"method": "taylor", "rounds": 1, "max_points": 2, "style": "engine", **changed})
    return SweepTask(model="net", weights="", data="", board="b", settings=settings, out=str(out), threads=1)


def write(done: SweepTask, points: int, reason: str | None, checkpoint: str = "c") -> None:
    folder = Path(done.out)
    folder.mkdir(parents=True)
    end = [{"event": "finished", "reason": reason}] if reason else []
    (folder / "events.json").write_text(json.dumps([{"event": "point"}] * points + end))
    (folder / "settings.json").write_text(json.dumps(
        {"settings": done.settings.of_points(), "model": "net", "board": "b", "checkpoint": checkpoint}))


@pytest.mark.parametrize(("wanted", "end", "shared"), [
    ({}, (3, ENOUGH), True), ({}, (2, "robust accuracy does not allow more"), True), ({}, (2, ENOUGH), False),
    ({}, (3, None), False), ({"method": "guided"}, (3, ENOUGH), False), ({"rounds": 2}, (3, ENOUGH), False),
    ({"stride": 0.3}, (3, ENOUGH), False), ({"style": "auto"}, (3, ENOUGH), False)])
def test_a_finished_plain_run_serves_the_other_style(
    armor_runs: ModuleType, tmp_path: Path, wanted: dict[str, Any], end: tuple[int, str | None], shared: bool,
) -> None:
    """``end``: points of the other run, the unpruned one too, and why it ended."""
    other = task(tmp_path / "net-stream" / "run-0", **{**wanted, "style": "stream", "stride": 0.1})
    write(other, *end)
    own = task(tmp_path / "net-engine" / "run-0", **wanted)
    assert armor_runs.folder_of(own) == Path((other if shared else own).out)
    write(own, 1, None)  # one that was begun goes on
    assert armor_runs.folder_of(own) == Path(own.out)


def test_a_run_of_another_checkpoint_serves_nobody(armor_runs: ModuleType, tmp_path: Path) -> None:
    other = task(tmp_path / "net-stream" / "run-0", style="stream")
    write(other, 3, ENOUGH, checkpoint="d")
    own = task(tmp_path / "net-engine" / "run-0")
    assert armor_runs.folder_of(own) == Path(own.out)
    settings = Path(other.out) / "settings.json"
    settings.write_text(settings.read_text().replace('"d"', '"c"'))
    assert armor_runs.folder_of(own) == Path(other.out)
    settings.unlink()
    assert armor_runs.folder_of(own) == Path(own.out)


def test_points_of_the_same_style_keep_their_price(armor_runs: ModuleType) -> None:
    points = [{"style": "engine", "cycles": 5}]
    assert armor_runs.priced(points, "engine", "latency") == armor_runs.priced(points, "auto", "latency") == points
