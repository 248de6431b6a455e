"""What the search may minimise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hwgen.config.names import unknown_name


@dataclass(frozen=True)
class Figures:
    """Of all configurations, [N] each: cycles, microjoule, largest share of a board resource (UltraRAM apart).

    ``cold`` and ``steady`` are of a frame that has the memory to itself; ``interval`` is the cycles per frame of all
    engines at work, each with its share of the memory's bandwidth (``steady`` where there is one engine).
    """

    cold: np.ndarray
    steady: np.ndarray
    interval: np.ndarray
    energy: np.ndarray
    share: np.ndarray


@dataclass(frozen=True)
class Objective:
    """Args:
        text: what is minimised, for the explanation.
        value: figures -> [N].
        tolerance: candidates within this share of the best count as equally good; the smallest of them is taken.
        several: more than one engine can make it smaller.
    """

    text: str
    value: Callable[[Figures], np.ndarray]
    tolerance: float
    several: bool = False


OBJECTIVES: dict[str, Objective] = {
    "latency": Objective("the mean of the cycles of a cold and of a following frame", lambda f: (f.cold + f.steady) / 2,
                         0.001),
    "throughput": Objective("the cycles per frame with all engines at work", lambda f: f.interval, 0.001,
                            several=True),
    "area": Objective("the largest share of DSP, BRAM, LUT or FF of the board, times the cycles of a following frame",
                      lambda f: f.share * f.steady, 0.001),
    "energy": Objective("the estimated energy of a following frame", lambda f: f.energy, 0.001),
}


def objective(name: str) -> Objective:
    """By name; HwgenError with the nearest names otherwise."""
    if name not in OBJECTIVES:
        raise unknown_name("objective", name, OBJECTIVES)
    return OBJECTIVES[name]
