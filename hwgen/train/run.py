"""``hwgen train``: from a recipe and a data set to a checkpoint with its log."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from hwgen.data.dataset import Dataset
from hwgen.data.registry import load_dataset
from hwgen.errors import HwgenError
from hwgen.train.balance import balance_module
from hwgen.train.display import training_bar
from hwgen.train.distill import teacher_outputs
from hwgen.train.evaluate import evaluate
from hwgen.train.log import JsonLog
from hwgen.train.loop import STATE_FILE, TrainJob, train_loop
from hwgen.zoo.build import build_module, decompose_into, new_module
from hwgen.zoo.checkpoint import load_state, read_checkpoint, save_checkpoint
from hwgen.zoo.preprocess import normalise
from hwgen.zoo.recipe import Recipe, find_recipe, load_recipe

#: Images whose accuracy is logged after every epoch, and images by which cores are balanced.
PROBE_IMAGES = 1000
BALANCE_IMAGES = 1024


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """What a training left.

    Args:
        checkpoint: safetensors, fp16.
        log: JSON lines.
        accuracy: top-1 (0..1) of the stored checkpoint on the whole test split, in float32 arithmetic.
        images: of the test split.
    """

    checkpoint: Path
    log: Path
    accuracy: float
    images: int


def run(
    recipe: Recipe,
    data_dir: Path,
    out_dir: Path,
    *,
    teacher: Path | None = None,
    resume: bool = True,
    threads: int | None = None,
    display: bool = True,
) -> TrainResult:
    """Train ``recipe`` and write ``<name>.safetensors`` and ``<name>.train.jsonl`` into ``out_dir``.

    The state is saved every 100 steps and on Ctrl-C; with ``resume`` a later call goes on from there and takes the same
    steps. A recipe with a teacher starts from it (TT-SVD where the student has TT layers, copies elsewhere).

    Args:
        recipe: with a ``[train]`` section.
        data_dir: folder with the data set in its public layout.
        out_dir: created if missing.
        teacher: checkpoint of the teacher; without it the one that its recipe ships; without that too, the teacher is
            trained first, into ``out_dir/teacher``.
        resume: go on from ``out_dir/state.pt`` if it exists; else start over.
        threads: of torch, for the whole process; None leaves torch's own choice.
        display: show a progress bar on standard error.

    Raises:
        HwgenError: no ``[train]`` section, no data, a teacher that does not fit, a state of another recipe.
        KeyboardInterrupt: Ctrl-C, after the state was saved.
    """
    spec = recipe.train
    if spec is None:
        raise HwgenError("has no [train] section", where=str(recipe.path), hint="give trained weights with --weights")
    if threads is not None:
        torch.set_num_threads(threads)
    train, test = (
        load_dataset(recipe.input.dataset, data_dir, split, recipe.input.shape,
                     recipe.input.classes or recipe.input.class_count)
        for split in ("train", "test")
    )
    out_dir.mkdir(parents=True, exist_ok=True)
    log = JsonLog(out_dir / f"{recipe.name}.train.jsonl")
    state = out_dir / STATE_FILE
    if not resume:
        state.unlink(missing_ok=True)
        log.path.unlink(missing_ok=True)
    module, soft = new_module(recipe, spec.seed), None
    _check_sizes(module, recipe)
    if spec.teacher is not None:
        path = teacher or _train_teacher(recipe, data_dir, out_dir, threads=threads, display=display)
        teacher_module = build_module(load_recipe(_teacher_recipe(recipe)), path).module
        errors = decompose_into(module, teacher_module)
        if not state.exists():
            log.write("decompose", relative_error={name: round(value, 4) for name, value in errors.items()})
        if spec.teacher.weight > 0:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            soft = teacher_outputs(teacher_module, train, recipe, out_dir / f"teacher_outputs-{digest[:12]}.npy")
    probe = test.sample(PROBE_IMAGES, spec.seed)
    learned, judge = hold_out(train, recipe)
    if soft is not None and judge is not None:
        raise HwgenError("early stopping beside a teacher whose outputs are learned is not supported",
                         where=str(recipe.path), hint="train.teacher.weight = 0, or no [train.stop]")
    job = TrainJob(module=module, recipe=recipe, train=learned, probe=probe, out_dir=out_dir, soft=soft, judge=judge)
    with training_bar(recipe.name, display) as on_step:
        train_loop(job, log, resume=resume, on_step=on_step)
    return finish(module, recipe, train, test, log)


@torch.inference_mode()
def _check_sizes(module: nn.Module, recipe: Recipe) -> None:
    """Whether the network works on the images of every phase.

    Raises:
        HwgenError: a phase's images are too small.
    """
    assert recipe.train is not None
    module.eval()
    for number, phase in enumerate(recipe.train.phases):
        image = normalise(torch.zeros(1, *recipe.input.shape, dtype=torch.uint8), recipe.input, phase.size)
        try:
            module(image)
        except RuntimeError as error:
            raise HwgenError(f"the network does not work on images of {phase.size} pixels ({error})",
                             where=f"{recipe.path}: train.phases[{number}].size",
                             hint=f"larger images, at most those of the network ({recipe.input.shape[-1]})") from error


def held_out_order(count: int, seed: int) -> np.ndarray:
    """int64 [count]: the order in which images are held out of a training set, by the recipe's seed. Whoever holds out
    no more images than ``[train.stop]`` did judges by images that the network was not trained on."""
    return np.random.default_rng([seed, 2]).permutation(count)


def hold_out(train: Dataset, recipe: Recipe) -> tuple[Dataset, Dataset | None]:
    """The images to learn from, and those held out for early stopping (None without ``[train.stop]``).

    Raises:
        HwgenError: too few images.
    """
    spec = recipe.train
    if spec is None or spec.stop is None:
        return train, None
    count = spec.stop.images
    if len(train) - count < spec.batch:
        raise HwgenError(f"{len(train)} training images are too few to hold {count} out for early stopping",
                         where=str(recipe.path), hint="smaller train.stop.images")
    order = held_out_order(len(train), spec.seed)
    return train.take(order[count:]), train.take(order[:count])


def finish(module: nn.Module, recipe: Recipe, train: Dataset, test: Dataset, log: JsonLog) -> TrainResult:
    """Balance the TT cores, write the checkpoint beside ``log``, and measure it on the whole test split."""
    sample = train.sample(BALANCE_IMAGES, recipe.quantize.seed).images
    balance_module(module, (_batch(sample[i : i + 128], recipe) for i in range(0, len(sample), 128)))
    path = log.path.with_name(f"{recipe.name}.safetensors")
    metadata = {"model": recipe.name, "recipe_sha256": recipe.sha256}
    save_checkpoint(path, module, metadata)
    load_state(module, read_checkpoint(path)[0], str(path))
    accuracy = evaluate(module, test, recipe.input)
    metadata |= {"accuracy": f"{accuracy:.4f}", "dataset": test.name, "images": str(len(test))}
    save_checkpoint(path, module, metadata)
    log.write("done", accuracy=accuracy, images=len(test), checkpoint=path.name, bytes=path.stat().st_size)
    return TrainResult(checkpoint=path, log=log.path, accuracy=accuracy, images=len(test))


def _batch(images: object, recipe: Recipe) -> Tensor:
    return normalise(torch.as_tensor(images), recipe.input)


def _teacher_recipe(recipe: Recipe) -> Path:
    """The teacher's recipe: a file beside the student's, or a model of the zoo."""
    name = recipe.train.teacher.recipe if recipe.train and recipe.train.teacher else ""
    beside = recipe.path.parent / f"{name}.toml"
    return beside if beside.is_file() else find_recipe(name)


def _train_teacher(recipe: Recipe, data_dir: Path, out_dir: Path, *, threads: int | None, display: bool) -> Path:
    teacher = load_recipe(_teacher_recipe(recipe))
    if teacher.checkpoint is not None and teacher.checkpoint.is_file():
        return teacher.checkpoint
    done = out_dir / "teacher" / f"{teacher.name}.safetensors"
    if done.exists():
        return done
    return run(teacher, data_dir, out_dir / "teacher", threads=threads, display=display).checkpoint
