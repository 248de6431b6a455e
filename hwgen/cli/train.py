"""``hwgen train``: make a checkpoint from a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwgen.cli.console import out, print_json
from hwgen.cli.guard import guarded
from hwgen.cli.robust_options import AttackStep, AttackSteps, Beta, Epsilon, Robust, robust_spec, with_robust

NAME = "train"
EXAMPLES = (
    "Examples:  hwgen train --model resnet18_tt --data ~/data --out train/resnet18_tt   |   "
    "hwgen train --model my.toml --data ~/data --teacher resnet18.safetensors   |   "
    "hwgen train --model small.safetensors --data ~/data --epochs 3   |   "
    "hwgen train --model aconvnet --data ~/data --robust pgd --epsilon 4"
)


@guarded
def command(
    model: Annotated[str, typer.Option("--model", "-m", help="Model name or recipe (.toml) with a \\[train] section, "
                                                       "or a network that 'hwgen compress' wrote (.safetensors).")],
    data: Annotated[Path, typer.Option(help="Folder that holds the data set in its public layout.")],
    out_dir: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for checkpoint, log and state "
                                                                     "\\[train/MODEL].")] = None,
    teacher: Annotated[Path | None, typer.Option(help="Checkpoint of the recipe's teacher; trained first if missing.")]
    = None,
    epochs: Annotated[int, typer.Option(help="Of a compressed network's fine-tuning.")] = 5,
    peak: Annotated[float, typer.Option(help="Highest learning rate of a compressed network's fine-tuning.")] = 0.01,
    robust: Robust = "",
    epsilon: Epsilon = None,
    attack_steps: AttackSteps = None,
    attack_step: AttackStep = None,
    beta: Beta = None,
    patience: Annotated[int | None, typer.Option(help="Stop after so many epochs without a better one on held-out "
                                                      "training images; 0: never. Default: the recipe's.")] = None,
    threads: Annotated[int | None, typer.Option(help="Threads of torch.")] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Start over instead of resuming.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Machine-readable result.")] = False,
) -> None:
    """Train a model, or fine-tune a compressed one. Ctrl-C saves the state; the same command resumes."""
    from hwgen.train import fine_tune, run
    from hwgen.train.fine_tune import recipe_of
    from hwgen.ttseal.device import use_torch
    from hwgen.zoo.recipe import GRAPH_BUILDER, load_recipe

    use_torch("cpu", threads)
    network = Path(model) if model.endswith(".safetensors") else None
    recipe = load_recipe(recipe_of(network) if network is not None else model)
    if network is None and recipe.network.builder == GRAPH_BUILDER:
        network = recipe.checkpoint
    if recipe.train is not None:
        spec = robust_spec(recipe.train.robust, robust, epsilon, attack_steps, attack_step, beta)
        recipe = with_robust(recipe, spec, patience)
    if network is not None:
        result = fine_tune(network, data, out_dir or Path("train") / network.stem, recipe=recipe, epochs=epochs,
                           peak=peak, resume=not restart, threads=threads, display=not json)
    else:
        result = run(recipe, data, out_dir or Path("train") / recipe.name, teacher=teacher, resume=not restart,
                     threads=threads, display=not json)
    if json:
        print_json({"checkpoint": str(result.checkpoint), "log": str(result.log), "accuracy": result.accuracy,
                    "images": result.images})
    else:
        share = f"{100 * result.accuracy:.2f} % of {result.images:,} test images"
        out.print(f"{result.checkpoint}: {share} (float32, measured)")
