"""``hwgen train`` on what ``hwgen compress`` wrote: a few epochs bring back what pruning and decomposition cost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from hwgen.data.registry import load_dataset
from hwgen.errors import HwgenError
from hwgen.passes.fold_batchnorm import fold_batchnorm
from hwgen.pipeline.fingerprint import hash_file
from hwgen.pipeline.graphfile import graph_recipe, load_graph, save_graph
from hwgen.train.display import training_bar
from hwgen.train.evaluate import evaluate
from hwgen.train.graph_module import GraphModule
from hwgen.train.log import JsonLog
from hwgen.train.loop import STATE_FILE, TrainJob, train_loop
from hwgen.train.run import PROBE_IMAGES, TrainResult, hold_out
from hwgen.zoo.recipe import NetworkSpec, PhaseSpec, Recipe, load_recipe


def fine_tune(
    network: Path, data_dir: Path, out_dir: Path, *, recipe: Recipe | None = None, epochs: int = 5,
    peak: float = 0.01, resume: bool = True, threads: int | None = None, display: bool = True,
) -> TrainResult:
    """Train a compressed network on and write ``<name>.safetensors`` and ``<name>.train.jsonl`` into ``out_dir``.

    Batch, augmentation, momentum and weight decay are those of the recipe that the network was made from. BatchNorm is
    folded, so the learning rate must be a good deal lower than for training from scratch.

    Args:
        network: graph file of ``hwgen compress``.
        data_dir: folder with the recipe's data set in its public layout.
        out_dir: created if missing; must not hold ``network`` itself.
        recipe: instead of the one that the network was made from: the same with other training options.
        epochs: over the training split; peak: highest learning rate.
        resume, threads, display: as in ``run``.

    Raises:
        HwgenError: the network was not made from a recipe with a ``[train]`` section, or no data.
        KeyboardInterrupt: Ctrl-C, after the state was saved.
    """
    name = recipe_of(network)
    if (out_dir / network.name).resolve() == network.resolve():
        raise HwgenError("the result would replace the network it starts from", where="--out",
                         hint="give another folder")
    recipe = _recipe(recipe or load_recipe(name), network, epochs, peak)
    if threads is not None:
        torch.set_num_threads(threads)
    spec = recipe.input
    train, test = (load_dataset(spec.dataset, data_dir, split, spec.shape, spec.classes or spec.class_count)
                   for split in ("train", "test"))
    out_dir.mkdir(parents=True, exist_ok=True)
    log = JsonLog(out_dir / f"{network.stem}.train.jsonl")
    if not resume:
        (out_dir / STATE_FILE).unlink(missing_ok=True)
        log.path.unlink(missing_ok=True)
    module = GraphModule(fold_batchnorm(load_graph(network)))
    if not (out_dir / STATE_FILE).exists():
        log.write("before", accuracy=evaluate(module, test, spec), images=len(test))
    learned, judge = hold_out(train, recipe)
    job = TrainJob(module=module, recipe=recipe, train=learned, probe=test.sample(PROBE_IMAGES, 0), out_dir=out_dir,
                   judge=judge)
    with training_bar(network.stem, display) as on_step:
        train_loop(job, log, resume=resume, on_step=on_step)
    path = out_dir / network.name
    save_graph(module.to_graph(), path, recipe=name)
    accuracy = evaluate(GraphModule(load_graph(path)), test, spec)
    log.write("done", accuracy=accuracy, images=len(test), checkpoint=path.name, bytes=path.stat().st_size)
    return TrainResult(checkpoint=path, log=log.path, accuracy=accuracy, images=len(test))


def recipe_of(network: Path) -> str:
    """Name or path of the recipe that a graph file was made from.

    Raises:
        HwgenError: it was not made from one, or is no graph file.
    """
    name = graph_recipe(network)
    if not name:
        raise HwgenError("was not made from a recipe, so that its images and training are not known",
                         where=str(network), hint="compress a recipe's model, or train the network where it came from")
    return name


def _recipe(recipe: Recipe, network: Path, epochs: int, peak: float) -> Recipe:
    """The recipe with the schedule of the fine-tuning; its hash is that of this network, so that states do not mix."""
    if recipe.train is None:
        raise HwgenError("has no [train] section", where=str(recipe.path), hint="it says batch and augmentation")
    for option, value in (("--epochs", epochs), ("--peak", peak)):
        if not value > 0:
            raise HwgenError(f"{value} is not possible", where=option, allowed="a positive number")
    train = replace(recipe.train, phases=(PhaseSpec(epochs=epochs),), teacher=None,
                    optimizer=replace(recipe.train.optimizer, peak=peak))
    return replace(recipe, train=train, network=NetworkSpec(builder="graph", params={"sha256": hash_file(network)}))
