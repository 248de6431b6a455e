"""Training a recipe: resumable, seeded, logged."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hwgen.data.dataset import Dataset
from hwgen.errors import HwgenError
from hwgen.train.augment import augment, draw
from hwgen.train.distill import distillation_loss
from hwgen.train.evaluate import evaluate
from hwgen.train.log import JsonLog
from hwgen.train.schedule import Schedule
from hwgen.zoo.build import set_tt_execution
from hwgen.zoo.preprocess import normalise
from hwgen.zoo.recipe import Recipe, TrainSpec

STATE_FILE = "state.pt"


@dataclass
class Progress:
    """How far a training has come; saved with the weights."""

    step: int = 0
    seconds: float = 0.0
    images: int = 0
    loss_sum: float = 0.0
    loss_steps: int = 0
    correct: int = 0
    best: dict[str, float] = field(default_factory=dict)


def make_optimizer(module: nn.Module, spec: TrainSpec) -> torch.optim.SGD:
    """SGD; weight decay on kernels and cores, none on biases and BatchNorm."""
    decayed = [p for p in module.parameters() if p.requires_grad and p.ndim > 1]
    plain = [p for p in module.parameters() if p.requires_grad and p.ndim <= 1]
    o = spec.optimizer
    groups = [{"params": decayed, "weight_decay": o.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.SGD(groups, lr=o.peak, momentum=o.momentum, nesterov=o.nesterov)


def save_state(path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress, recipe_hash: str) -> None:
    """Write everything that a resumed run needs, atomically."""
    temporary = path.with_name(path.name + ".part")
    torch.save(
        {
            "module": module.state_dict(),
            "optimizer": optimizer.state_dict(),
            "progress": vars(progress),
            "recipe": recipe_hash,
        },
        temporary,
    )
    os.replace(temporary, path)


def load_state(path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, recipe_hash: str) -> Progress:
    """Restore a saved run.

    Raises:
        HwgenError: the state belongs to another recipe.
    """
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    if state["recipe"] != recipe_hash:
        raise HwgenError(
            "the saved training state belongs to another version of the recipe",
            where=str(path),
            hint="train into another folder, or start over without resuming",
        )
    module.load_state_dict(state["module"])
    optimizer.load_state_dict(state["optimizer"])
    return Progress(**state["progress"])


@contextmanager
def interrupt_flag() -> Iterator[threading.Event]:
    """Ctrl-C sets the yielded event instead of raising, so that a step is finished before the state is saved."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def handler(_signal: int, _frame: FrameType | None) -> None:
        event.set()

    previous = signal.signal(signal.SIGINT, handler)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, previous)


def train_loop(
    module: nn.Module,
    recipe: Recipe,
    train: Dataset,
    probe: Dataset,
    out_dir: Path,
    log: JsonLog,
    *,
    soft: np.ndarray | None = None,
    resume: bool = True,
    save_every: int = 100,
) -> None:
    """Train ``module`` in place through all phases of the recipe.

    Every step's randomness comes from (seed, epoch, step) alone, so a resumed run takes the same steps.

    Raises:
        KeyboardInterrupt: Ctrl-C; the state is saved first.
        HwgenError: the loss became NaN or infinite.
    """
    spec = recipe.train
    if spec is None:
        raise HwgenError("has no [train] section", where=str(recipe.path))
    schedule = Schedule(spec, len(train) // spec.batch)
    optimizer = make_optimizer(module, spec)
    state = out_dir / STATE_FILE
    progress = load_state(state, module, optimizer, recipe.sha256) if resume and state.exists() else Progress()
    module.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    set_tt_execution(module, spec.tt_execution)
    log.write("start", step=progress.step, steps=schedule.steps, recipe=recipe.sha256, torch=torch.__version__)

    def save() -> None:
        save_state(state, module, optimizer, progress, recipe.sha256)

    with interrupt_flag() as interrupted:
        while progress.step < schedule.steps:
            epoch, first = divmod(progress.step, schedule.steps_per_epoch)
            order = np.random.default_rng([spec.seed, epoch]).permutation(len(train))
            module.train()
            for index in range(first, schedule.steps_per_epoch):
                started = time.perf_counter()
                rows = order[index * spec.batch : (index + 1) * spec.batch]
                _step(module, optimizer, recipe, spec, schedule, train, rows, (epoch, index), soft, progress)
                progress.seconds += time.perf_counter() - started
                if interrupted.is_set():
                    save()
                    raise KeyboardInterrupt
                if progress.step % save_every == 0:
                    save()
                    log.write("step", **_summary(progress, schedule, epoch))
            accuracy = evaluate(module, probe, recipe.input)
            log.write("epoch", **_summary(progress, schedule, epoch), probe_accuracy=accuracy, probe_images=len(probe))
            progress.loss_sum, progress.loss_steps, progress.correct, progress.images = 0.0, 0, 0, 0
            save()
    set_tt_execution(module, "dense")


def _step(
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    recipe: Recipe,
    spec: TrainSpec,
    schedule: Schedule,
    train: Dataset,
    rows: np.ndarray,
    position: tuple[int, int],
    soft: np.ndarray | None,
    progress: Progress,
) -> None:
    epoch, index = position
    choices = draw(spec.augment, len(rows), np.random.default_rng([spec.seed, epoch, index]))
    x = normalise(augment(train.images[rows], spec.augment, choices), recipe.input, schedule.size(epoch))
    y = torch.from_numpy(train.labels[rows])
    for group in optimizer.param_groups:
        group["lr"] = schedule.learning_rate(progress.step)
    with torch.autocast("cpu", torch.bfloat16, enabled=spec.precision == "bfloat16"):
        output: Tensor = module(x)
    output = output.float()
    loss = functional.cross_entropy(output, y, label_smoothing=spec.label_smoothing)
    if soft is not None and spec.teacher is not None and spec.teacher.weight > 0:
        target = torch.from_numpy(soft[choices.flip.astype(np.int64), rows]).float()
        share = spec.teacher.weight
        loss = (1 - share) * loss + share * distillation_loss(output, target, spec.teacher.temperature)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    value = float(loss.detach())
    if not np.isfinite(value):
        raise HwgenError(
            f"the loss became {value} at step {progress.step}", where=str(recipe.path), hint="lower optimizer.peak"
        )
    progress.step += 1
    progress.images += len(rows)
    progress.loss_sum += value
    progress.loss_steps += 1
    progress.correct += int((output.argmax(1) == y).sum())


def _summary(progress: Progress, schedule: Schedule, epoch: int) -> dict[str, Any]:
    return {
        "step": progress.step,
        "steps": schedule.steps,
        "epoch": epoch + 1,
        "size": schedule.size(epoch),
        "learning_rate": round(schedule.learning_rate(min(progress.step, schedule.steps - 1)), 6),
        "loss": round(progress.loss_sum / max(progress.loss_steps, 1), 4),
        "train_accuracy": round(progress.correct / max(progress.images, 1), 4),
        "seconds": round(progress.seconds, 1),
    }
