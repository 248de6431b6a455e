"""``hwgen prune``: hardware-guided structured pruning of a robust network for a board."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hwgen.cli.console import err, out, print_json, table
from hwgen.cli.guard import guarded
from hwgen.cli.robust_options import AttackStep, AttackSteps, Beta, Epsilon, Robust, robust_spec
from hwgen.errors import HwgenError

if TYPE_CHECKING:
    from hwgen.armor.hardware import Gains

NAME = "prune"
EXAMPLES = (
    "Examples:  hwgen prune --model aconvnet_robust --board zcu104 --data ~/data   |   "
    "hwgen prune -m aconvnet_robust -b zcu104 --data ~/data --method guided --method taylor --seed 0 --seed 1 "
    "--workers 4   |   hwgen pareto prune/aconvnet_robust-zcu104"
)


@guarded
def command(
    model: Annotated[str, typer.Option("--model", "-m", help="Model name, recipe (.toml) or network (.safetensors), "
                                                             "trained.")],
    board: Annotated[str, typer.Option("--board", "-b", help="Board name or board file (.toml).")],
    data: Annotated[Path, typer.Option(help="Folder that holds the data set in its public layout.")],
    out_dir: Annotated[Path | None, typer.Option("--out", "-o", help="Folder of the runs \\[prune/MODEL-BOARD].")]
    = None,
    weights: Annotated[Path | None, typer.Option(help="Checkpoint instead of the recipe's.")] = None,
    method: Annotated[list[str] | None, typer.Option(help="guided, taylor, fisher, gradient, l1 or random; repeatable "
                                                          "\\[guided].")] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Repeatable \\[0].")] = None,
    objective: Annotated[str, typer.Option(help="Of the configuration search: latency, throughput, area, "
                                                "energy.")] = "latency",
    style: Annotated[str, typer.Option(help="Of the accelerator: auto, engine or stream.")] = "engine",
    gain: Annotated[list[str] | None, typer.Option(help="Weight of a saving, such as cycles=1, dsp=0.25, memory=0.25, "
                                                        "energy=0.1; repeatable.")] = None,
    granule: Annotated[int, typer.Option(help="Channels or ranks that go at once at least.")] = 8,
    depth: Annotated[bool, typer.Option("--depth/--no-depth", help="Guided steps may take the branch of a residual "
                                                                   "addition away, all of its layers.")] = True,
    stride: Annotated[float, typer.Option(help="Gain, or loss of weights, between fine-tunings, as a share.")] = 0.1,
    tolerance: Annotated[float, typer.Option(help="Robust accuracy that may be lost.")] = 0.02,
    epochs: Annotated[int, typer.Option(help="Of each fine-tuning.")] = 2,
    peak: Annotated[float, typer.Option(help="Its highest learning rate.")] = 0.005,
    batchnorm: Annotated[bool, typer.Option("--batchnorm/--no-batchnorm", help="Put BatchNorm back behind the "
                                                                               "convolutions for the fine-tuning.")]
    = True,
    robust: Robust = "",
    epsilon: Epsilon = None,
    attack_steps: AttackSteps = None,
    attack_step: AttackStep = None,
    beta: Beta = None,
    repair: Annotated[bool, typer.Option("--repair/--no-repair", help="GRAIL's reconstruction behind every step.")]
    = False,
    rounds: Annotated[int, typer.Option(help="Of pruning; the configuration is searched before each.")] = 2,
    retries: Annotated[int, typer.Option(help="How often in a row steps that cost too much are halved.")] = 1,
    judge_steps: Annotated[int, typer.Option(help="Steps of the PGD attack that judges.")] = 10,
    saliency_images: Annotated[int, typer.Option(help="Training images for saliency and repair.")] = 256,
    validation_images: Annotated[int, typer.Option(help="Training images that judge.")] = 300,
    max_points: Annotated[int, typer.Option(help="Accepted networks at most.")] = 40,
    precision: Annotated[str, typer.Option(help="Of fine-tuning and judging: float32 or bfloat16.")] = "float32",
    workers: Annotated[int, typer.Option(help="Runs at a time, where there are several.")] = 1,
    scheduler: Annotated[str, typer.Option(help="Address of a Dask scheduler whose workers see the same folders.")]
    = "",
    threads: Annotated[int, typer.Option(help="Threads of torch, per run.")] = 1,
    json: Annotated[bool, typer.Option("--json", help="Print the points on stdout.")] = False,
) -> None:
    """Prune a trained network by saliency against what the hardware gains, with adversarial fine-tuning.

    Ctrl-C keeps everything; the same command continues. Several methods or seeds are runs of their own, on Dask.
    """
    from hwgen.armor.model import load_model
    from hwgen.armor.run import points_of, run
    from hwgen.armor.settings import PruneSettings
    from hwgen.armor.sweep import SweepTask, make_job, run_sweep, tasks
    from hwgen.cli.watch import watching
    from hwgen.config.board import load_board
    from hwgen.ttseal.device import use_torch
    from hwgen.zoo.recipe import RobustSpec

    if workers < 1:
        raise HwgenError(f"{workers} is not possible", where="--workers", allowed="1 or more")
    use_torch("cpu", threads)
    network, target = load_model(model, weights), load_board(board)
    given = network.recipe.train.robust if network.recipe.train else None
    spec = robust_spec(given or RobustSpec(), robust, epsilon, attack_steps, attack_step, beta)
    if spec is None:
        raise HwgenError("pruning fine-tunes and judges adversarially", where="--robust", allowed="pgd, trades")
    settings = PruneSettings(
        objective=objective, style=style, gains=gains_of(gain or ()), granule=granule, depth=depth,
        stride=stride, tolerance=tolerance, epochs=epochs, peak=peak, batchnorm=batchnorm, robust=spec,
        judge_steps=judge_steps, saliency_images=saliency_images, validation_images=validation_images, repair=repair,
        rounds=rounds, retries=retries, max_points=max_points, precision=precision)
    folder = (out_dir or Path("prune") / f"{network.name}-{target.name}").resolve()
    place = str(Path(model).resolve()) if model.endswith((".toml", ".safetensors")) else model
    board_place = str(Path(board).resolve()) if board.endswith(".toml") else board
    first = SweepTask(model=place, weights=str(weights.resolve()) if weights else "", data=str(data.resolve()),
                      board=board_place, settings=settings, out=str(folder), threads=threads)
    work = tasks(first, method or ["guided"], seed or [0])
    try:
        with watching(quiet=json) as watcher:
            if len(work) == 1 and not scheduler:
                run(make_job(work[0]), watcher)
            else:
                run_sweep(work, watcher, workers=workers, scheduler=scheduler)
    except KeyboardInterrupt:
        err.print(f"interrupted; everything finished is kept in {folder}, the same command continues")
        raise
    found = {task.name: points_of(Path(task.out)) for task in work}
    if json:
        print_json(found)
        return
    columns = ("parameters", "MACs", "cycles", "robust", "clean")
    rows = [(name, len(points), f"{p['parameters']:,}", f"{p['macs']:,}", f"{p['cycles']:,}",
             f"{100 * p['robust_accuracy']:.1f} %", f"{100 * p['clean_accuracy']:.1f} %")
            for name, points in found.items() for p in (points[0], points[-1])]
    out.print(table(f"{network.name} on {target.name}, epsilon {spec.epsilon:g}/255: first and last point "
                    "(validation images, predicted cycles)", ("run", "points", *columns), rows,
                    right=("points", *columns)))
    out.print(f"hwgen pareto {folder}")


def gains_of(given: Iterable[str]) -> Gains:
    """``Gains`` from words such as ``cycles=1``.

    Raises:
        HwgenError: an unknown name, or no number.
    """
    from hwgen.armor.hardware import Gains

    names, values = [f.name for f in fields(Gains)], {}
    for word in given:
        name, _, number = word.partition("=")
        try:
            values[name] = float(number)
        except ValueError:
            name = ""
        if name not in names:
            raise HwgenError(f"{word!r}", where="--gain", allowed=", ".join(f"{n}=NUMBER" for n in names))
    return Gains(**values)
