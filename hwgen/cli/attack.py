"""``hwgen attack``: what an attacker gets who sees the plain weights and queries the device."""

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

NAME = "attack"
EXAMPLES = (
    "Examples:  hwgen attack --model resnet18_tt --data ~/data --encrypt @seal/resnet18_tt/selection.json   |   "
    "hwgen attack -m resnet18_tt --data ~/data --encrypt none --epsilon 4 --epsilon 8"
)


@guarded
def command(
    model: Model,
    data: Data,
    encrypt: Annotated[str, typer.Option(help="What is hidden: all, none, a share such as 0.25, names of layers or "
                                              "cores a,b, or @FILE.")] = "all",
    out_dir: Annotated[Path | None, typer.Option("--out", "-o", help="Folder of the run \\[attack/MODEL].")] = None,
    weights: Weights = None,
    build: Build = None,
    seed_images: SeedImages = 500,
    rounds: Rounds = 4,
    epochs: Epochs = 10,
    last_epochs: LastEpochs = 10,
    known: Known = "frozen",
    precision: Precision = "float32",
    seed: Seed = 0,
    images: Annotated[int, typer.Option(help="Test images of the accuracies; 0: all.")] = 0,
    attack_images: AttackImages = 500,
    epsilon: Epsilon = None,
    transfer: Transfer = True,
    threads: Threads = None,
    device: Device = "cpu",
    json: Annotated[bool, typer.Option("--json", help="Machine-readable result.")] = False,
) -> None:
    """Train a substitute against the shipped int8 network and measure its accuracy and what transfers to the victim.

    The attacker knows the architecture and every weight that is not hidden, and labels images by querying the victim.
    Ctrl-C saves; the same command continues.
    """
    from hwgen.cli.watch import watching
    from hwgen.ttseal.attack import attack
    from hwgen.ttseal.report import attack_rows, percent
    from hwgen.ttseal.settings import one_of, settings_of
    from hwgen.ttseal.team import SealTask, make_job
    from hwgen.ttseal.transfer import require_library
    from hwgen.zoo.recipe import SealSpec

    epsilons = tuple(epsilon or (2, 4, 8, 16))
    settings = settings_of(SealSpec(
        seed_images=seed_images, rounds=rounds, epochs=epochs, last_epochs=last_epochs,
        known=one_of("--known", known, ("frozen", "trained")),
        precision=one_of("--precision", precision, ("float32", "bfloat16")), seeds=1, seed=seed, importance_images=0,
        validation_images=0, images=images, transfer=transfer, attack_images=attack_images, epsilons=epsilons,
        headline=epsilons[-1]))
    if transfer:
        require_library()
    job = make_job(SealTask(model=model, data=data, settings=settings, out=out_dir, weights=weights, build=build,
                            device=device, threads=threads), runs="attack")
    target = job.target
    try:
        with watching(quiet=json) as watcher:
            result = attack(job, encrypt, watcher)
    except KeyboardInterrupt:
        err.print(f"interrupted; the training is kept in {job.out}, the same command continues")
        raise
    if json:
        print_json(result)
        return
    out.print(f"{target.name} ({target.origin}): {len(result['encrypted'])} of {result['units']} cores and kernels "
              f"hidden, {percent(result['encrypted_share'], 2)} of the bytes; {result['queries']:,} queries")
    out.print(f"victim {percent(result['victim_accuracy'])}, substitute {percent(result['substitute_accuracy'])} on "
              f"{result['test_images']:,} test images; they agree on {percent(result['agreement'])}")
    if result["transfer"] is not None:
        columns = ("attack", *(f"{e}/255" for e in epsilons))
        out.print(table(f"victim fooled, of {result['transfer']['images']:,} images that it classifies correctly",
                        columns, attack_rows(result["transfer"], epsilons), right=columns[1:]))
