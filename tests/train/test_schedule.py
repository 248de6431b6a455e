"""Learning rate and image size by step."""

from __future__ import annotations

import pytest

from hwgen.train.schedule import Schedule, learning_rate
from hwgen.zoo.recipe import OptimizerSpec, PhaseSpec, TrainSpec


def test_sizes_and_steps() -> None:
    phases = (PhaseSpec(epochs=2, size=20), PhaseSpec(epochs=1, size=0))
    schedule = Schedule(TrainSpec(phases=phases, optimizer=OptimizerSpec(peak=1.0)), steps_per_epoch=10)
    assert (schedule.epochs, schedule.steps) == (3, 30)
    assert [schedule.size(epoch) for epoch in range(3)] == [20, 20, 0]
    with pytest.raises(IndexError):
        schedule.size(3)


@pytest.mark.parametrize("decay", ["linear", "cosine"])
def test_rise_and_fall(decay: str) -> None:
    spec = OptimizerSpec(peak=0.4, warmup=0.2, decay="linear" if decay == "linear" else "cosine")
    assert learning_rate(spec, 0.1) == pytest.approx(0.2)
    assert learning_rate(spec, 0.2) == pytest.approx(0.4)
    assert learning_rate(spec, 0.6) == pytest.approx(0.2)
    assert learning_rate(spec, 1.0) == pytest.approx(0.0)
    falling = [learning_rate(spec, 0.2 + 0.1 * step) for step in range(9)]
    assert falling == sorted(falling, reverse=True)


def test_without_warmup_the_peak_comes_first() -> None:
    assert learning_rate(OptimizerSpec(peak=0.4, warmup=0.0), 0.0) == pytest.approx(0.4)
