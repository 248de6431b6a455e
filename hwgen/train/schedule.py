"""Which image size and which learning rate belong to a step."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi

from hwgen.zoo.recipe import OptimizerSpec, TrainSpec


@dataclass(frozen=True)
class Schedule:
    """Steps of a whole training.

    Args:
        spec: the recipe's training section.
        steps_per_epoch: full batches in the data set.
    """

    spec: TrainSpec
    steps_per_epoch: int

    @property
    def epochs(self) -> int:
        """Epochs of all phases."""
        return sum(phase.epochs for phase in self.spec.phases)

    @property
    def steps(self) -> int:
        """Optimiser steps of all phases."""
        return self.epochs * self.steps_per_epoch

    def size(self, epoch: int) -> int:
        """Image size of ``epoch`` (counted from 0); 0 = the network's own."""
        for phase in self.spec.phases:
            if epoch < phase.epochs:
                return phase.size
            epoch -= phase.epochs
        raise IndexError("epoch is after the last phase")

    def learning_rate(self, step: int) -> float:
        """Learning rate of ``step`` (counted from 0)."""
        return learning_rate(self.spec.optimizer, (step + 0.5) / self.steps)


def learning_rate(spec: OptimizerSpec, done: float) -> float:
    """Learning rate after the share ``done`` (0..1) of all steps: a linear rise to the peak, then the decay to zero."""
    if done < spec.warmup:
        return spec.peak * done / spec.warmup
    rest = (1 - done) / (1 - spec.warmup)
    return spec.peak * (rest if spec.decay == "linear" else (1 - cos(pi * rest)) / 2)
