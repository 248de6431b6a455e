"""What a training needs to go on after an interruption."""

from __future__ import annotations

import os
import pickle
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hwgen.errors import HwgenError


@dataclass
class Progress:
    """How far a training has come.

    Args:
        step: optimiser steps done.
        seconds: spent in steps, over all interruptions.
        images, correct, loss_sum, loss_steps: of the running epoch.
        best: accuracy (0..1) of the best epoch on held-out images; -1 before the first.
        since_best: epochs behind it.
    """

    step: int = 0
    seconds: float = 0.0
    images: int = 0
    correct: int = 0
    loss_sum: float = 0.0
    loss_steps: int = 0
    best: float = -1.0
    since_best: int = 0

    def start_epoch(self) -> None:
        """Forget the sums of the epoch before."""
        self.images, self.correct, self.loss_sum, self.loss_steps = 0, 0, 0.0, 0

    def add_step(self, loss: float, correct: int, images: int, seconds: float) -> None:
        """Count one optimiser step."""
        self.step += 1
        self.seconds += seconds
        self.images += images
        self.correct += correct
        self.loss_sum += loss
        self.loss_steps += 1


def save_state(
    path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress, recipe: str
) -> None:
    """Write weights, optimiser state and progress, atomically; ``recipe`` is the recipe's hash."""
    temporary = path.with_name(f"{path.name}.part")
    state = {
        "module": module.state_dict(),
        "optimizer": optimizer.state_dict(),
        "progress": asdict(progress),
        "recipe": recipe,
    }
    torch.save(state, temporary)
    os.replace(temporary, path)


def load_state(path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, recipe: str) -> Progress:
    """Restore what ``save_state`` wrote.

    Raises:
        HwgenError: the file is damaged, or belongs to another version of the recipe.
    """
    again = "train into another folder, or start over with resume=False (--restart)"
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        owner = state["recipe"]
    except (RuntimeError, pickle.UnpicklingError, EOFError, LookupError, TypeError) as error:
        raise HwgenError("is no training state", where=str(path), hint=again) from error
    if owner != recipe:
        raise HwgenError("belongs to another version of the recipe", where=str(path), hint=again)
    module.load_state_dict(state["module"])
    optimizer.load_state_dict(state["optimizer"])
    return Progress(**state["progress"])


def save_best(path: Path, module: nn.Module) -> None:
    """Keep the weights of the best epoch, atomically."""
    temporary = path.with_name(f"{path.name}.part")
    torch.save(module.state_dict(), temporary)
    os.replace(temporary, path)


def load_best(path: Path, module: nn.Module) -> None:
    """Restore what ``save_best`` wrote; HwgenError if it is lost or damaged."""
    try:
        module.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, TypeError) as error:
        raise HwgenError("holds no weights of a best epoch", where=str(path), hint="start over (--restart)") from error
