"""Several pruning runs at once on Dask: a local cluster, or a scheduler elsewhere whose workers share the folders.

Every run has a folder of its own and continues by itself, so a sweep that was interrupted is simply started again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from hwgen.armor.model import load_model
from hwgen.armor.run import PruneJob, run
from hwgen.armor.settings import PruneSettings
from hwgen.cluster import completed, connect
from hwgen.config.board import load_board
from hwgen.data.registry import load_dataset
from hwgen.errors import HwgenError
from hwgen.ttseal.measure import Watcher


@dataclass(frozen=True, kw_only=True)
class SweepTask:
    """One run of a sweep, in words that a worker elsewhere understands.

    Args:
        model, weights, data, board: as on the command line, paths absolute.
        settings: of the run; out: its folder.
        threads: of torch.
    """

    model: str
    weights: str
    data: str
    board: str
    settings: PruneSettings
    out: str
    threads: int

    @property
    def name(self) -> str:
        """Of the run's folder."""
        return Path(self.out).name


def tasks(first: SweepTask, methods: Sequence[str], seeds: Sequence[int]) -> list[SweepTask]:
    """``first`` for every method and seed, each in a folder ``METHOD-SEED`` below its own."""
    return [replace(first, out=str(Path(first.out) / f"{method}-{seed}"),
                    settings=replace(first.settings, method=method, seed=seed))  # type: ignore[arg-type]
            for method in dict.fromkeys(methods) for seed in dict.fromkeys(seeds)]


def make_job(task: SweepTask) -> PruneJob:
    """Load what a run needs."""
    model = load_model(task.model, Path(task.weights) if task.weights else None)
    spec = model.recipe.input
    train = load_dataset(spec.dataset, Path(task.data), "train", spec.shape, spec.classes or spec.class_count)
    return PruneJob(model=model, board=load_board(task.board), train=train, settings=task.settings, out=Path(task.out))


def run_task(task: SweepTask) -> dict[str, Any]:
    """What a worker does; an error of the user's comes back as text."""
    torch.set_num_threads(task.threads)
    try:
        points = run(make_job(task))
    except HwgenError as error:
        return {"name": task.name, "error": str(error)}
    return {"name": task.name, "points": len(points), "last": points[-1]}


def run_sweep(work: Sequence[SweepTask], watcher: Watcher, *, workers: int = 1, scheduler: str = "") -> None:
    """Run all tasks; every finished one is noted.

    Args:
        workers: processes of the local cluster.
        scheduler: address of a running Dask scheduler instead of a local cluster.

    Raises:
        ToolMissingError: ``distributed`` is not installed.
        HwgenError: the scheduler cannot be reached; a run failed (all others are finished first).
    """
    failed: list[str] = []
    with connect(workers, scheduler) as client:
        futures = {client.submit(run_task, task, key=task.out, pure=False): task for task in work}
        watcher.begin(f"{len(work)} runs")
        for done, future in enumerate(completed(futures), start=1):
            watcher.step(done, len(work))
            error = future.exception()  # of the worker or its machine: the other runs go on
            if error is not None:
                failed.append(f"{futures[future].name}: {type(error).__name__}: {error}")
                continue
            found = future.result()
            if "error" in found:
                failed.append(f"{found['name']}: {found['error']}")
            else:
                last = found["last"]
                watcher.note(f"{found['name']}: {found['points']} points; last: {last['parameters']:,} parameters, "
                             f"{last['cycles']:,} cycles, robust {100 * last['robust_accuracy']:.1f} % (validation)")
    if failed:
        raise HwgenError("; ".join(failed), where="sweep", hint="the same command runs the failed ones again")
