"""``hwgen seal``: choose what has to be encrypted, and prove by attack that it suffices."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwgen.cli.attacker_options import (
    AttackImages,
    Build,
    Data,
    Device,
    Epochs,
    Epsilon,
    Known,
    LastEpochs,
    Model,
    Precision,
    Rounds,
    Seed,
    SeedImages,
    Threads,
    Transfer,
    Weights,
)
from hwgen.cli.console import err, out, print_json, table
from hwgen.cli.guard import guarded

NAME = "seal"
EXAMPLES = (
    "Examples:  hwgen seal --model resnet18_tt --data ~/data   |   "
    "hwgen seal -m resnet18_tt --data ~/data --seed-images 100 --rounds 3 --seeds 1 --no-transfer   |   "
    "hwgen build -m resnet18_tt -b zcu104 --encrypt @seal/resnet18_tt/selection.json"
)


@guarded
def command(
    model: Model,
    data: Data,
    out_dir: Annotated[Path | None, typer.Option("--out", "-o", help="Folder of the run \\[seal/MODEL].")] = None,
    weights: Weights = None,
    build: Build = None,
    given: Annotated[Path | None, typer.Option("--selection", help="Judge this selection against the baselines instead "
                                                                   "of choosing one.")] = None,
    delta: Annotated[float, typer.Option(help="How much better than blind a substitute may be.")] = 0.03,
    seed_images: SeedImages = 500,
    rounds: Rounds = 4,
    epochs: Epochs = 10,
    last_epochs: LastEpochs = 10,
    known: Known = "frozen",
    precision: Precision = "float32",
    seeds: Annotated[int, typer.Option(help="Substitutes per reported set.")] = 3,
    seed: Seed = 0,
    importance_images: Annotated[int, typer.Option(help="Training images for the importances.")] = 256,
    validation_images: Annotated[int, typer.Option(help="Training images on which substitutes are judged.")] = 2000,
    images: Annotated[int, typer.Option(help="Test images of the reported figures; 0: all.")] = 0,
    drops: Annotated[int, typer.Option(help="Removals tried on the verified set.")] = 8,
    transfer: Transfer = True,
    attack_images: AttackImages = 500,
    epsilon: Epsilon = None,
    headline: Annotated[int | None, typer.Option(min=1, help="The epsilon of the table \\[8 if it is there, else the "
                                                             "last].")] = None,
    workers: Annotated[int, typer.Option(help="Substitutes trained at a time.")] = 1,
    scheduler: Annotated[str, typer.Option(help="Address of a Dask scheduler whose workers see the same folders.")]
    = "",
    threads: Threads = None,
    device: Device = "cpu",
    json: Annotated[bool, typer.Option("--json", help="Print result.json on stdout.")] = False,
) -> None:
    """Choose the TT cores and kernels to encrypt: importance, threshold, knapsack, verified by real attacks.

    Baselines are measured in the same run. Everything finished is kept: the same command continues after Ctrl-C. The
    selection is for 'hwgen build --encrypt @FOLDER/selection.json'; --selection judges one that exists.
    """
    from hwgen.cli.watch import watching
    from hwgen.ttseal import select
    from hwgen.ttseal.plots import write_plots
    from hwgen.ttseal.report import COLUMNS, facts, make_rows, table_rows
    from hwgen.ttseal.settings import one_of, settings_of
    from hwgen.ttseal.team import SealTask, make_job, team_of
    from hwgen.ttseal.transfer import require_library
    from hwgen.zoo.recipe import SealSpec

    settings = settings_of(SealSpec(
        delta=delta, seed_images=seed_images, rounds=rounds, epochs=epochs, last_epochs=last_epochs,
        known=one_of("--known", known, ("frozen", "trained")),
        precision=one_of("--precision", precision, ("float32", "bfloat16")), seeds=seeds, seed=seed,
        importance_images=importance_images, validation_images=validation_images, images=images, drops=drops,
        transfer=transfer, attack_images=attack_images, epsilons=tuple(epsilon or (2, 4, 8, 16)),
        headline=headline or 0))
    if transfer:
        require_library()
    task = SealTask(model=model, data=data, settings=settings, out=out_dir, weights=weights, build=build, device=device,
                    threads=threads, given=given)
    job = make_job(task)
    try:
        with watching(quiet=json) as watcher, team_of(task, job, workers, scheduler) as team:
            result = select(job, watcher, team)
    except KeyboardInterrupt:
        err.print(f"interrupted; everything finished is kept in {job.out}, the same command continues")
        raise
    plots = write_plots(result, job.out)
    if json:
        print_json(result)
        return
    out.print(table("", ("", ""), facts(result)))
    out.print(table("", COLUMNS, table_rows(make_rows(result)), right=COLUMNS[1:]))
    out.print(f"{job.out}/selection.json, {', '.join(p.name for p in plots)}")
