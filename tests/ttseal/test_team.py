"""Substitutes side by side: the same files as one after the other; what fails is named behind the others."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from hwgen.errors import HwgenError
from hwgen.ttseal import SealSettings, make_bench, select, team
from hwgen.ttseal.measure import Silent, Wanted
from hwgen.ttseal.team import DaskTeam, SealTask, make_job, measure, team_of
from tests.helpers.toy_attack import SETTINGS, toy_data, toy_recipe


def task(folder: Path, settings: SealSettings = SETTINGS, name: str = "run") -> SealTask:
    data = folder / "data"
    if not data.exists():
        toy_data(data)
    return SealTask(model=str(toy_recipe(folder)), data=data, settings=settings, out=folder / name, threads=1)


class Future:
    """What a worker made, or what killed it."""

    def __init__(self, result: str | Exception) -> None:
        self._result = result

    def exception(self) -> Exception | None:
        return self._result if isinstance(self._result, Exception) else None

    def result(self) -> str:
        assert isinstance(self._result, str)
        return self._result


class Client:
    """Runs at once what is submitted; every ``broken`` seed's worker dies."""

    def __init__(self, broken: tuple[int, ...] = ()) -> None:
        self.broken = broken
        self.submitted: list[Wanted] = []

    def submit(self, function: Any, first: SealTask, wanted: Wanted, **more: object) -> Future:
        self.submitted.append(wanted)
        return Future(OSError("no room") if wanted.seed in self.broken else function(first, wanted))


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(team, "completed", iter)


@pytest.mark.usefixtures("at_once")
def test_the_same_selection_as_alone(tmp_path: Path) -> None:
    settings, client = dataclasses.replace(SETTINGS, seeds=2), Client()
    work = task(tmp_path, settings)
    together = select(make_job(work), Silent(), DaskTeam(client, work, 2))
    alone = select(make_job(task(tmp_path, settings, "alone")), Silent())
    for key in ("black_box", "threshold", "verified"):
        assert together[key] == alone[key]
    for name, measured in alone["sets"].items():
        assert [{**m, "seconds": 0} for m in together["sets"][name]] == [{**m, "seconds": 0} for m in measured]
    assert len({w.name for w in client.submitted}) == len(client.submitted)  # nothing is trained twice
    assert {w.title for w in client.submitted} >= {"black box", "chosen"}


@pytest.mark.usefixtures("at_once")
def test_a_worker_that_dies_is_named_behind_the_others(tmp_path: Path) -> None:
    work = task(tmp_path)
    job = make_job(work)
    bench = make_bench(job, Silent(), DaskTeam(Client(broken=(1,)), work, 2))
    wanted = [Wanted([bench.units[0].node], seed, "black box") for seed in (0, 1, 2)]
    with pytest.raises(HwgenError, match="substitutes: black box, seed 1: OSError: no room"):
        bench.prepare(wanted)
    names = [w.name for w in wanted]
    assert [bench.folder.read(f"{name}.json") is not None for name in names] == [True, False, True]


def test_an_error_of_the_users_comes_back_as_text(tmp_path: Path) -> None:
    work = task(tmp_path)
    assert "no convolution 'nothing'" in measure(work, Wanted(["nothing"], 0, "x"))


def test_nobody_else(tmp_path: Path) -> None:
    work = task(tmp_path)
    with team_of(work, make_job(work)) as found:
        assert found is None


@pytest.mark.slow
def test_a_local_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    work = dataclasses.replace(task(tmp_path), model="tiny.toml", data=Path("data"), out=Path("run"))
    job = make_job(work)
    with team_of(work, job, workers=2) as found:
        bench = make_bench(job, Silent(), found)
        wanted = [Wanted([bench.units[0].node], seed, "black box") for seed in (0, 1)]
        bench.prepare(wanted)
    assert all(bench.folder.read(f"{w.name}.json") is not None for w in wanted)
