"""What remains of a window operation's time when it runs beside the convolutions around it.

A short form of ``hwgen.compiler.overlap``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from hwgen.cost.arrays import ConfigTable
from hwgen.cost.constants import CycleConstants
from hwgen.cost.cycles import WorkCost, window_cost, window_usable
from hwgen.cost.lives import tensor_lives, window_groups
from hwgen.cost.work import NetworkWork, Work

#: numbers of strips and of ranges of channels that are tried
STRIPS = (2, 3, 4, 6, 8, 14, 28)
RANGES = (2, 3, 4, 6, 8, 16)


@dataclass(frozen=True)
class Beside:
    """Of a window operation; [N] each.

    Args:
        usable: the unit takes it.
        more: cycles of its group beyond those that the array needs for the convolutions of it.
        cost: its own.
        descriptors: of the whole group beyond one each.
    """

    usable: np.ndarray
    more: np.ndarray
    cost: WorkCost
    descriptors: np.ndarray


def window_work(
    network: NetworkWork, shapes: ConfigTable, cost: Callable[[Work], WorkCost], *, latency: np.ndarray,
    spilled: dict[str, np.ndarray], constants: CycleConstants,
) -> dict[int, Beside]:
    """Index of an operation that some window unit takes -> what it costs.

    Args:
        cost: of an operation of the array; latency: of its pipeline.
        spilled: operation -> whether some of its maps are not on the chip; a group with such runs in turn.
    """
    out: dict[int, Beside] = {}
    groups = {index: group for group in window_groups(network) for index in group if network.works[index].windowed}
    room = _rooms(network, shapes, list(groups.values()))
    for index, work in enumerate(network.works):
        usable = window_usable(work, shapes)
        if not usable.any():
            continue
        own = window_cost(work, shapes, constants)
        alone = own.cycles + 2 * latency
        group = groups.get(index, (index,))
        before = network.works[index - 1] if index - 1 in group else None
        after = network.works[index + 1] if index + 1 in group else None
        members = [w for w in (before, work, after) if w is not None]
        on_chip = np.ones(len(shapes), bool)
        for member in members:
            on_chip &= ~spilled.get(member.name, np.zeros(len(shapes), bool))
        if group in room:
            on_chip &= room[group]
        lines = sum((cost(w).lines for w in (before, after) if w is not None), own.lines)
        by_rows = on_chip & (lines <= shapes.weight_lines / 2)
        array = sum((cost(w).cycles for w in (before, after) if w is not None), np.zeros(len(shapes)))
        best, strips = array + alone, np.ones(len(shapes))
        height = work.size_out[0]
        halo = max(0, work.kernel[0] - work.stride[0]) * work.size_in[1] * own.blocks
        pairs = _starved(before, after, shapes)
        for count in (n for n in STRIPS if n <= height):
            parts = [None if w is None else cost(_strip(w, count)).cycles for w in (before, after)]
            unit = own.cycles / count + halo + constants.window + (0.0 if parts[0] is None else pairs * parts[0])
            cycles = _play(parts[0], unit, parts[1], count, latency)
            better = by_rows & (cycles < best)
            best, strips = np.where(better, cycles, best), np.where(better, count, strips)
        if before is not None:
            blocks = cost(before).blocks
            for count in RANGES:
                first, last = cost(before).cycles, 0.0 if after is None else cost(after).cycles
                unit = own.cycles / count + constants.window + pairs * first / count
                cycles = _play(first / count, unit, None, count, latency) + last + latency
                best = np.where(on_chip & (blocks >= count) & (cycles < best), cycles, best)
        out[index] = Beside(usable=usable, more=best - array, cost=own, descriptors=(strips - 1) * len(members))
    return out


def _starved(before: Work | None, after: Work | None, shapes: ConfigTable) -> np.ndarray:
    """Share of the cycles of the convolution before in which it takes both halves of the bank that the unit reads:
    where both read one bank (an inverted residual block), and in the pair shape, which makes the last of an odd number.
    """
    if before is None or after is None or before.reads[0] not in after.reads[1:]:
        return np.zeros(len(shapes))
    words = -(-before.channels_out // shapes.p_i)
    return np.where(shapes.p_o > shapes.p_i, words % 2 / words, 0.0)


def _strip(work: Work, count: int) -> Work:
    """One of ``count`` strips."""
    def share(rows: int) -> int:
        return max(1, round(rows / count))

    return replace(work, size_out=(share(work.size_out[0]), work.size_out[1]),
                   size_in=(share(work.size_in[0]), work.size_in[1]))


def _play(before: np.ndarray | None, window: np.ndarray, after: np.ndarray | None, count: int, latency: np.ndarray,
          ) -> np.ndarray:
    """Cycles of ``count`` strips: the array makes one ahead of the window unit and takes up one behind it."""
    array, unit, done = np.zeros_like(window), np.zeros_like(window), np.zeros_like(window)
    for number in range(count):
        made = np.zeros_like(window)
        if before is not None:
            array = array + before
            made = array + latency
        earlier = done
        unit = np.maximum(unit, made) + window
        done = unit + latency
        if after is not None and number:
            array = np.maximum(array, earlier) + after
    if after is not None:
        array = np.maximum(array, done) + after
    return np.maximum(array, unit)


def _rooms(
    network: NetworkWork, shapes: ConfigTable, groups: list[tuple[int, ...]]
) -> dict[tuple[int, ...], np.ndarray]:
    """Whether all tensors that are alive while a group runs have room together, with buffers for strips if need be."""
    out = {}
    lives = {int(p_i): tensor_lives(network, int(p_i), groups, buffered=True) for p_i in np.unique(shapes.p_i)}
    for group in groups:
        words = {p_i: max(sum(size for name, size in one.words.items()
                              if one.first[name] <= index <= one.last.get(name, 1 << 30)) for index in group)
                 for p_i, one in lives.items()}
        out[group] = np.array([words[int(p_i)] for p_i in shapes.p_i]) <= 2 * shapes.act_words
    return out
