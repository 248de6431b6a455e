"""Substitutes of one run on several processes: each trains one into the run's folder, as the run itself would."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwgen.cluster import completed, connect
from hwgen.errors import HwgenError
from hwgen.ttseal.device import use_torch
from hwgen.ttseal.measure import Silent, Wanted
from hwgen.ttseal.select import SealJob, make_bench
from hwgen.ttseal.settings import SealSettings
from hwgen.ttseal.target import chosen_nodes, load_splits, load_target
from hwgen.ttseal.units import units_of


@dataclass(frozen=True, kw_only=True)
class SealTask:
    """A selection in words that a worker elsewhere understands.

    Args:
        model, data, weights, build: as on the command line.
        settings: of the run.
        out: folder of the run; None: ``seal/MODEL``.
        device, threads: of torch, per process; None: torch's own choice.
        given: a selection's file: it is judged instead of making one.
    """

    model: str
    data: Path
    settings: SealSettings
    out: Path | None = None
    weights: Path | None = None
    build: Path | None = None
    device: str = "cpu"
    threads: int | None = None
    given: Path | None = None


def make_job(task: SealTask, runs: str = "seal") -> SealJob:
    """Load what a run needs, and set torch up for it.

    Args:
        runs: folder of runs whose folder the task does not name.

    Raises:
        HwgenError: see ``use_torch``, ``load_target``, ``load_splits``; a selection of other weights, or an empty one.
    """
    use_torch(task.device, task.threads)
    target, given = load_target(task.model, task.data, weights=task.weights, build=task.build), None
    if task.given is not None:
        given = chosen_nodes(f"@{task.given}", target.graph, units_of(target.graph), target.checkpoint)
        if not given:
            raise HwgenError("selects nothing", where=str(task.given), hint="hwgen seal without --selection makes one")
    return SealJob(target=target, splits=load_splits(target.recipe, task.data, task.settings), settings=task.settings,
                   given=given,
                   out=task.out or Path(runs) / target.name, device=task.device)


def measure(task: SealTask, wanted: Wanted) -> str:
    """What a worker does; returns an error of the user's as text."""
    try:
        make_bench(make_job(task), Silent()).measure(wanted.encrypted, wanted.seed, wanted.title)
    except HwgenError as error:
        return str(error)
    return ""


class DaskTeam:
    """Workers of a Dask client.

    Args:
        client: connected.
        task: its paths are absolute, because workers run in folders of their own.
        least: fewer substitutes are left to the run itself.
    """

    def __init__(self, client: Any, task: SealTask, least: int) -> None:
        self._client, self._task, self.least = client, task, least

    def measure(self, wanted: Sequence[Wanted]) -> Iterator[Wanted]:
        """See ``Team``."""
        failed: list[str] = []
        futures = {self._client.submit(measure, self._task, each, key=f"{self._task.out}/{each.name}", pure=False): each
                   for each in wanted}
        for future in completed(futures):
            each, error = futures[future], future.exception()  # of the worker or its machine: the others go on
            text = future.result() if error is None else f"{type(error).__name__}: {error}"
            if text:
                failed.append(f"{each.title}, seed {each.seed}: {text}")
            else:
                yield each
        if failed:
            raise HwgenError("; ".join(failed), where="substitutes",
                             hint="the same command trains the failed ones again")


@contextmanager
def team_of(task: SealTask, job: SealJob, workers: int = 1, scheduler: str = "") -> Iterator[DaskTeam | None]:
    """A team for a run; None if there is nobody but this process.

    Args:
        task, job: the run, in words and loaded.
        workers: processes of a local cluster.
        scheduler: address of a Dask scheduler instead; all substitutes are trained there.

    Raises:
        HwgenError, ToolMissingError: see ``hwgen.cluster.connect``.
    """
    if workers == 1 and not scheduler:
        yield None
        return
    absolute = SealTask(
        model=str(Path(task.model).resolve()) if task.model.endswith((".toml", ".safetensors")) else task.model,
        data=task.data.resolve(), settings=task.settings, out=job.out.resolve(),
        weights=task.weights and task.weights.resolve(), build=task.build and task.build.resolve(),
        device=task.device, threads=task.threads, given=task.given and task.given.resolve())
    with connect(workers, scheduler) as client:
        yield DaskTeam(client, absolute, 1 if scheduler else 2)
