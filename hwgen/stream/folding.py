"""How many multipliers every stage gets: the highest frame rate of a board, or the fewest resources for a given one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.config.board import Board, Resources
from hwgen.config.pipeline import StageConfig
from hwgen.errors import HwgenError
from hwgen.stream.cost import NAMES, shell_resources, stage_cycles, stage_resources
from hwgen.stream.layout import lines_of
from hwgen.stream.queues import column_depth, output_depth
from hwgen.stream.shapes import folded
from rtl_templates.stream.timing import output_latency

#: share of a board's LUTs, flip-flops and memories that the pipeline may take, so that it can be placed and routed
SHARE = {"dsp": 1.0, "bram36": 0.9, "uram": 1.0, "lut": 0.8, "ff": 0.8}


#: how far from the least sum of shares a folding may be, and how long it is looked for
GAP, NODES = 0.01, 20_000


@dataclass(frozen=True)
class Option:
    """A folding of a stage.

    Args:
        cycles: of a frame; late: from its last step to the result that can be read; both of a stage that never waits.
        lines: of the weight stream.
        cost: what it takes (``NAMES``).
    """

    stage: StageConfig
    cycles: int
    late: int
    lines: int
    cost: np.ndarray


@dataclass(frozen=True)
class Folding:
    """A folding of all stages: the slowest one's cycles for a frame (or the input's), the sum of the shares that it
    takes of what there is."""

    stages: tuple[StageConfig, ...]
    interval: int
    share: float


def options_of(stage: StageConfig, config: AcceleratorConfig, most: np.ndarray) -> tuple[Option, ...]:
    """All foldings of a stage that are worth choosing: none is better in cycles and every resource. Those that take
    more multipliers than there are in ``most`` (``NAMES``) are left out."""
    out, values = stage.out_channels, stage.window_values
    sizes = {-(-out // blocks) for blocks in range(1, out + 1)}
    sizes = sorted({1 if size == 1 else size + size % 2 for size in sizes})
    slices = sorted({-(-values // count) for count in range(1, values + 1)})
    found = []
    multipliers = max(1, most[NAMES.index("dsp")])  # two channels share one at best
    for pe in sizes:
        for simd in slices:
            if stage.kind.weighted and -(-pe // 2) * simd > multipliers:
                break
            for trial in _orders(folded(stage, pe, simd)):
                cost = stage_resources(_with_queues(trial, config), config)
                found.append(Option(
                    trial, stage_cycles(trial), output_latency(config, trial) - (trial.depth - trial.steps),
                    lines_of(trial, config), np.array([getattr(cost, name) for name in NAMES])))
    return _undominated(found, np.array([[option.cycles, *option.cost] for option in found]))


def _orders(stage: StageConfig) -> tuple[StageConfig, ...]:
    """Windows of all channels, and where that is possible those of a block."""
    return (stage, replace(stage, serial=True)) if stage.can_be_serial else (stage,)


def _with_queues(stage: StageConfig, config: AcceleratorConfig) -> StageConfig:
    """With queues as deep as will be needed, as far as that is the stage's own matter."""
    return replace(stage, columns=column_depth(stage), queue=output_depth(config, stage, []))


class OptionTable:
    """The options of stages that were asked for before: networks that are pruned share most of their stages."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], tuple[Option, ...]] = {}

    def of(self, stage: StageConfig, config: AcceleratorConfig, most: np.ndarray) -> tuple[Option, ...]:
        """``options_of``, of which only the multipliers of ``most`` and of ``config`` only this counts."""
        key = (stage, config.acc_bits, config.packing, config.line_bytes, most[NAMES.index("dsp")])
        if key not in self._known:
            self._known[key] = options_of(stage, config, most)
        return self._known[key]


def _undominated(options: Sequence[Option], rows: np.ndarray) -> tuple[Option, ...]:
    """Those of which no other one is as small in all values of its row; of equal ones the first."""
    kept, best = list[int](), np.empty_like(rows)
    for index in np.lexsort(rows.T[::-1]):
        if not (best[:len(kept)] <= rows[index]).all(axis=1).any():
            best[len(kept)] = rows[index]
            kept.append(int(index))
    return tuple(options[k] for k in kept)


def cheapest(options: Sequence[Sequence[Option]], interval: int, have: np.ndarray) -> Folding | None:
    """The stages' foldings that keep up with ``interval`` and take least of ``have``; None: it does not suffice.

    An integer programme: one option per stage, the sums of every resource within ``have``, least sum of shares.
    """
    used = have > 0
    able = []
    for one in options:
        fast = [option for option in one if option.cycles <= interval and not option.cost[~used].any()]
        if not fast:
            return None
        able.append(_undominated(fast, np.array([option.cost for option in fast])))
    flat = [option for one in able for option in one]
    cost = np.array([option.cost for option in flat]).T
    owner = np.zeros((len(able), len(flat)))
    at = 0
    for number, one in enumerate(able):
        owner[number, at:at + len(one)] = 1
        at += len(one)
    shares = cost[used] / have[used, None]
    result = milp(shares.sum(axis=0), integrality=np.ones(len(flat)), bounds=Bounds(0, 1),
                  constraints=[LinearConstraint(owner, 1, 1), LinearConstraint(shares, 0, 1)],
                  options={"mip_rel_gap": GAP, "node_limit": NODES})
    if result.x is None:
        return None
    taken = [option for option, chosen in zip(flat, result.x, strict=True) if chosen > 0.5]
    return Folding(tuple(option.stage for option in taken), max(option.cycles for option in taken), float(result.fun))


def available(board: Board, config: AcceleratorConfig) -> np.ndarray:
    """What is left for the stages, in the order of ``NAMES``."""
    shell = shell_resources(config, board)
    return np.array([getattr(board.resources, name) * SHARE[name] - getattr(shell, name) for name in NAMES])


def fold(options: Sequence[Sequence[Option]], have: np.ndarray, least: int = 1) -> Folding | None:
    """The fewest resources for the fewest cycles a frame; None: they do not fit.

    Args:
        options: of all stages; have: resources (``NAMES``).
        least: cycles a frame below which nothing is gained, because the input takes them.
    """
    least = max(least, *(min(option.cycles for option in one) for one in options))
    candidates = [least, *sorted({option.cycles for one in options for option in one if option.cycles > least})]
    low, high, best = 0, len(candidates) - 1, None
    while low <= high:
        middle = (low + high) // 2
        chosen = cheapest(options, candidates[middle], have)
        if chosen is None:
            low = middle + 1
        else:
            best, high = replace(chosen, interval=max(chosen.interval, least)), middle - 1
    return best


def too_small(options: Sequence[Sequence[Option]], have: np.ndarray, board: Board) -> HwgenError:
    """The error that names the resource of which there is least."""
    least = np.array([np.min([option.cost for option in one], axis=0) for one in options]).sum(axis=0)
    short = [(name, need, there) for name, need, there in zip(NAMES, least, have, strict=True) if need > there]
    if not short:
        return HwgenError("no folding of this network fits", where=f"board {board.name}", hint="--style engine")
    name, need, there = max(short, key=lambda row: row[1] / max(1.0, row[2]))
    return HwgenError(f"a streaming pipeline keeps all weights on the chip and needs {need:,.0f} {name.upper()} at "
                      f"least, {max(0.0, there):,.0f} are there for it", where=f"board {board.name}",
                      hint="--style engine, or a smaller network")


def total(config: AcceleratorConfig, board: Board) -> Resources:
    """Estimated resources of the whole design."""
    assert config.pipeline is not None
    parts = [shell_resources(config, board), *(stage_resources(stage, config) for stage in config.pipeline.stages)]
    return Resources(**{name: round(sum(getattr(part, name) for part in parts), 1) for name in NAMES})
