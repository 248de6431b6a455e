"""The training loop: seeded, resumable, logged."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hwgen.data.dataset import Dataset
from hwgen.errors import HwgenError
from hwgen.train.augment import augment, draw
from hwgen.train.depthwise import StridedDepthwise
from hwgen.train.distill import distillation_loss
from hwgen.train.evaluate import evaluate
from hwgen.train.interrupt import interrupt_flag
from hwgen.train.log import JsonLog
from hwgen.train.robust import robust_accuracy, robust_loss
from hwgen.train.schedule import Schedule
from hwgen.train.state import Progress, load_best, load_state, save_best, save_state
from hwgen.zoo.build import set_tt_execution
from hwgen.zoo.preprocess import normalise
from hwgen.zoo.recipe import Recipe, TrainSpec

STATE_FILE, BEST_FILE = "state.pt", "best.pt"
#: Called after every step with the summary that is also logged.
StepHook = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, kw_only=True)
class TrainJob:
    """One training.

    Args:
        module: trained in place.
        recipe: with a ``[train]`` section.
        train: images to learn from.
        probe: images on which accuracy is logged after every epoch; nothing is chosen by it.
        out_dir: gets ``state.pt``.
        soft: outputs of a teacher, float [views, N, classes]; view 1 is of the mirrored image.
        save_every: steps between saved states.
        judge: images held out of ``train`` whose accuracy stops the training early; with ``[train.stop]`` only.
    """

    module: nn.Module
    recipe: Recipe
    train: Dataset
    probe: Dataset
    out_dir: Path
    soft: np.ndarray | None = None
    save_every: int = 100
    judge: Dataset | None = None
    schedule: Schedule = field(init=False)
    spec: TrainSpec = field(init=False)

    def __post_init__(self) -> None:
        spec = self.recipe.train
        if spec is None:
            raise HwgenError("has no [train] section", where=str(self.recipe.path))
        if len(self.train) < spec.batch:
            raise HwgenError(f"{len(self.train)} training images do not fill a batch of {spec.batch}")
        if (spec.stop is None) != (self.judge is None):
            raise ValueError("judge must be given if, and only if, the recipe has [train.stop]")
        object.__setattr__(self, "spec", spec)
        object.__setattr__(self, "schedule", Schedule(spec, len(self.train) // spec.batch))


def make_optimizer(module: nn.Module, spec: TrainSpec) -> torch.optim.SGD:
    """SGD; weight decay on kernels and cores, none on biases and BatchNorm."""
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": spec.optimizer.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.SGD(
        groups, lr=spec.optimizer.peak, momentum=spec.optimizer.momentum, nesterov=spec.optimizer.nesterov
    )


def train_loop(job: TrainJob, log: JsonLog, *, resume: bool = True, on_step: StepHook | None = None) -> None:
    """Train ``job.module`` in place through all phases of the recipe.

    The randomness of a step comes from (seed, epoch, step) alone, so a resumed run takes the steps that the
    uninterrupted one would have taken.

    Raises:
        KeyboardInterrupt: Ctrl-C; the step is finished and the state saved first.
        HwgenError: the loss became NaN or infinite; the saved state belongs to another recipe.
    """
    module, schedule, recipe_hash = job.module, job.schedule, job.recipe.sha256
    optimizer = make_optimizer(module, job.spec)
    state = job.out_dir / STATE_FILE
    found = resume and state.exists()
    progress = load_state(state, module, optimizer, recipe_hash) if found else Progress()
    _channels_last(module)
    set_tt_execution(module, job.spec.tt_execution)
    log.write("start", step=progress.step, steps=schedule.steps, recipe=recipe_hash, torch=torch.__version__)
    with interrupt_flag() as interrupted, StridedDepthwise():
        while progress.step < schedule.steps and not _exhausted(job, progress):
            epoch, first = divmod(progress.step, schedule.steps_per_epoch)
            order = np.random.default_rng([job.spec.seed, epoch]).permutation(len(job.train))
            module.train()
            if first == 0:
                progress.start_epoch()
            for index in range(first, schedule.steps_per_epoch):
                _step(job, optimizer, progress, order, epoch)
                if on_step:
                    on_step(summary(job, progress, epoch))
                if index + 1 == schedule.steps_per_epoch:
                    accuracy = evaluate(module, job.probe, job.recipe.input)
                    done = summary(job, progress, epoch)
                    log.write("epoch", **done, probe_accuracy=round(accuracy, 4), probe_images=len(job.probe),
                              **_judge(job, progress))
                elif progress.step % job.save_every == 0:
                    log.write("step", **summary(job, progress, epoch))
                elif not interrupted.is_set():
                    continue
                save_state(state, module, optimizer, progress, recipe_hash)
                if interrupted.is_set():
                    log.write("interrupted", **summary(job, progress, epoch))
                    raise KeyboardInterrupt
    if job.judge is not None:
        load_best(job.out_dir / BEST_FILE, module)
        log.write("best", accuracy=progress.best, epochs=progress.step // schedule.steps_per_epoch)
    set_tt_execution(module, "dense")


def _channels_last(module: nn.Module) -> None:
    """Kernels channels last; ``Module.to`` would refuse cores of five dimensions."""
    for parameter in module.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)


def _exhausted(job: TrainJob, progress: Progress) -> bool:
    """Whether the last epochs brought nothing better."""
    return job.spec.stop is not None and progress.since_best >= job.spec.stop.patience


def _judge(job: TrainJob, progress: Progress) -> dict[str, Any]:
    """Measure the held-out images and keep the weights if they are the best so far; what is logged."""
    if job.judge is None:
        return {}
    robust, spec = job.spec.robust, job.recipe.input
    found = evaluate(job.module, job.judge, spec) if robust is None else robust_accuracy(
        job.module, job.judge, spec, robust, seed=job.spec.seed, bfloat16=job.spec.precision == "bfloat16")
    progress.since_best += 1
    if found > progress.best:
        progress.best, progress.since_best = found, 0
        save_best(job.out_dir / BEST_FILE, job.module)
    kind = "accuracy" if robust is None else "robust_accuracy"
    return {f"judge_{kind}": round(found, 4), "judge_images": len(job.judge), "since_best": progress.since_best}


def _step(job: TrainJob, optimizer: torch.optim.SGD, progress: Progress, order: np.ndarray, epoch: int) -> None:
    """One batch: the ``progress.step``-th, of which epoch and image ``order`` are given."""
    started = time.perf_counter()
    spec = job.spec
    index = progress.step % job.schedule.steps_per_epoch
    rows = order[index * spec.batch : (index + 1) * spec.batch]
    choices = draw(spec.augment, len(rows), np.random.default_rng([spec.seed, epoch, index]))
    images = augment(job.train.images[rows], spec.augment, choices)
    x = normalise(images, job.recipe.input, job.schedule.size(epoch))
    y = torch.from_numpy(job.train.labels[rows])
    for group in optimizer.param_groups:
        group["lr"] = job.schedule.learning_rate(progress.step)
    bfloat16 = spec.precision == "bfloat16"
    output: Tensor
    if spec.robust is None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            output = job.module(x)
        output = output.float()
        loss = functional.cross_entropy(output, y, label_smoothing=spec.label_smoothing)
    else:
        loss, output = robust_loss(job.module, x, y, spec=job.recipe.input, robust=spec.robust,
                                   rng=np.random.default_rng([spec.seed, epoch, index, 1]),
                                   label_smoothing=spec.label_smoothing, bfloat16=bfloat16)
    if job.soft is not None and spec.teacher is not None and spec.teacher.weight > 0:
        view = choices.flip.astype(np.int64)
        target = torch.from_numpy(job.soft[view, rows].astype(np.float32))
        share = spec.teacher.weight
        loss = (1 - share) * loss + share * distillation_loss(output, target, spec.teacher.temperature)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    value = float(loss.detach())
    if not math.isfinite(value):
        raise HwgenError(
            f"the loss became {value} in step {progress.step}", where=str(job.recipe.path), hint="lower optimizer.peak"
        )
    correct = int((output.argmax(1) == y).sum())
    progress.add_step(value, correct, len(rows), time.perf_counter() - started)


def summary(job: TrainJob, progress: Progress, epoch: int) -> dict[str, Any]:
    """What is logged: position, learning rate, means over the running epoch, seconds spent in steps."""
    schedule = job.schedule
    return {
        "step": progress.step,
        "steps": schedule.steps,
        "epoch": epoch + 1,
        "epochs": schedule.epochs,
        "size": schedule.size(epoch) or job.recipe.input.shape[1],
        "learning_rate": round(schedule.learning_rate(progress.step - 1), 6),
        "loss": round(progress.loss_sum / max(progress.loss_steps, 1), 4),
        "train_accuracy": round(progress.correct / max(progress.images, 1), 4),
        "seconds": round(progress.seconds, 1),
    }
