"""Analytic cycles of one operation for many configurations at once: the compiler's shape choice, in numpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwgen.config.accelerator import WINDOW_MIN_WIDTH, AcceleratorConfig, DspPacking, WindowUnit
from hwgen.cost.arrays import ConfigTable
from hwgen.cost.constants import CYCLES, CycleConstants
from hwgen.cost.work import Contraction, Work
from rtl_templates.engine.timing import ACCUMULATOR_REVISIT, pipeline_latency

RAW_INTERVAL = 4
MAX_COORDINATE = 2046


@dataclass(frozen=True, kw_only=True)
class WorkCost:
    """Cost of one operation; arrays [N].

    Args:
        cycles: from its first issue to the next operation's, its weights being there.
        lines: of the weight stream.
        last_slots: issue slots of its last step (what remains when the last weights arrive).
        blocks, slots, steps: output blocks, issue slots per step, steps per output block (for hazards).
        descriptors: compute descriptors that it takes.
    """

    cycles: np.ndarray
    lines: np.ndarray
    last_slots: np.ndarray
    blocks: np.ndarray
    slots: np.ndarray
    steps: np.ndarray
    descriptors: np.ndarray


def ceil_div(a: np.ndarray | int, b: np.ndarray | int) -> np.ndarray:
    """Integer division, rounded up."""
    return -(-np.asarray(a) // np.asarray(b))


def pipeline_latencies(table: ConfigTable, packing: DspPacking) -> np.ndarray:
    """``rtl_templates.engine.timing.pipeline_latency`` for all rows; it depends on p_i and the packing."""
    sizes, row = np.unique(table.p_i, return_inverse=True)
    known = [pipeline_latency(AcceleratorConfig(p_i=int(p), p_o=int(p), packing=packing)) for p in sizes]
    return np.array(known)[row]


def work_cost(work: Work, table: ConfigTable, constants: CycleConstants = CYCLES) -> WorkCost:
    """Cost of ``work`` on every configuration of ``table``."""
    if work.pool:
        return _pool_cost(work, table, constants)
    words_in, words_out, taps = _words(work, table)
    per_block = table.p_o // table.p_i
    steps = pair_steps = words_in * taps
    if work.groups > 1:
        # an output block only sees the input words of its own groups
        steps, pair_steps = (
            np.minimum(words_in, np.maximum(ceil_div(
                work.channels_in // work.groups * np.minimum(columns, work.channels_out), table.p_i), words)) * taps
            for columns, words in ((table.p_o, per_block), (table.p_o // 2, 1)))
    pair_ok = (per_block == 2) & (work.stride[1] == 1) & (not work.raw) & (table.p_o // 2 % table.line_columns == 0)
    pair_ok &= (table.p_o // 2) % np.maximum(table.line_bytes // 16, 1) == 0
    normal = _part(work, table, constants, words_out, steps, pair=False)
    if work.contraction is not None:
        return _finish(table, _part(work, table, constants, words_out, pair_steps, pair=True))
    if not bool(pair_ok.any()):
        return _finish(table, normal)
    pair = _part(work, table, constants, words_out, pair_steps, pair=True)
    even = words_out - words_out % per_block
    mixed = [a + b for a, b in zip(_part(work, table, constants, even, steps, pair=False),
                                   _part(work, table, constants, words_out - even, pair_steps, pair=True), strict=True)]
    best = tuple(np.where(pair_ok & (pair[0] < normal[0]), p, n) for p, n in zip(pair, normal, strict=True))
    use_mixed = pair_ok & (even > 0) & (even < words_out) & (mixed[0] < best[0])
    best = tuple(np.where(use_mixed, m, b) for m, b in zip(mixed, best, strict=True))
    return _finish(table, best)


def _words(work: Work, table: ConfigTable) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    words_in, words_out = ceil_div(work.channels_in, table.p_i), ceil_div(work.channels_out, table.p_i)
    taps = np.full(len(table), work.kernel[0] * work.kernel[1])
    if work.from_input and work.groups == 1:
        folded = folds_input(work, table)
        words_in = np.where(folded, ceil_div(work.channels_in * work.kernel[0] * work.kernel[1], table.p_i), words_in)
        taps = np.where(folded, 1, taps)
    return words_in, words_out, taps


def folds_input(work: Work, table: ConfigTable) -> np.ndarray:
    """Whether the driver lays the taps of a first convolution into the channel lanes (``hwgen.compiler.folding``)."""
    taps = work.kernel[0] * work.kernel[1]
    plain, folded = ceil_div(work.channels_in, table.p_i), ceil_div(taps * work.channels_in, table.p_i)
    blocks = ceil_div(work.channels_out, table.p_o)
    rate = table.axi_ports * 16

    def cost(words: np.ndarray, passes: np.ndarray, pixels: int) -> np.ndarray:
        return blocks * passes * work.pixels + words * pixels * table.p_i / rate

    inside = work.size_in[0] * work.size_in[1]
    return (folded < taps * plain) & (cost(folded, folded, work.pixels) < cost(plain, taps * plain, inside))


def _part(
    work: Work, table: ConfigTable, constants: CycleConstants, words: np.ndarray, steps: np.ndarray, *, pair: bool
) -> tuple[np.ndarray, ...]:
    """Cycles, lines, slots of the last step, blocks, slots and steps of ``words`` output words in one shape."""
    per_slot = 2 if pair else 1
    blocks = words if pair else ceil_div(words, table.p_o // table.p_i)
    height, width = work.size_out
    joined = work.pointwise or work.to_weights
    if joined:
        height, width = 1, height * width
    if work.contraction is not None:
        width = _rows(work.contraction, table)
    slots_row = -(-width // per_slot)
    longest = np.minimum(table.acc_depth, MAX_COORDINATE // per_slot)
    cut = slots_row > longest  # rows are cut into pieces
    rows = np.maximum(1, table.acc_depth // slots_row)
    pieces = np.where(cut, ceil_div(slots_row, longest), ceil_div(height, rows))
    repeat = np.where(cut, height, 1)
    unit = np.where(cut, 1, slots_row)
    total = np.where(cut, slots_row, height)
    small, large = total // pieces, ceil_div(total, pieces)
    many = total - small * pieces  # pieces of the larger size
    tile = table.lines_per_tile // per_slot
    records = table.param_lines // per_slot
    interval = RAW_INTERVAL if work.raw else 1

    def tile_cycles(size: np.ndarray) -> np.ndarray:
        step = np.maximum(np.maximum(size * unit * interval, tile), ACCUMULATOR_REVISIT)
        return blocks * ((steps - 1) * step + np.maximum(step, tile + records)) + constants.descriptor

    cycles = repeat * (many * tile_cycles(large) + (pieces - many) * tile_cycles(small))
    cycles = np.where(blocks > 0, cycles, 0.0)
    lines = blocks * (records + (0 if work.local else steps * tile))
    if work.contraction is not None and work.contraction.loaded:  # counted like the stream: it comes the same way
        core = _rows(work.contraction, table) * ceil_div(work.channels_in, table.p_i) * table.p_i
        lines = lines + ceil_div(core, table.line_bytes)
    return cycles, lines, large * unit * interval, blocks, large * unit, steps, np.where(blocks > 0, repeat * pieces, 0)


def _rows(contraction: Contraction, table: ConfigTable) -> np.ndarray:
    """Rows of a contraction: whole tiles of the convolution that uses the kernel."""
    unit = table.p_o if contraction.wide else table.p_i
    return ceil_div(contraction.outputs, unit) * unit * contraction.outer


def _finish(table: ConfigTable, parts: tuple[np.ndarray, ...]) -> WorkCost:
    columns = (np.broadcast_to(np.asarray(p, np.float64), (len(table),)) for p in parts)
    cycles, lines, last, blocks, slots, steps, descriptors = columns
    return WorkCost(cycles=cycles, lines=lines, last_slots=last, blocks=blocks, slots=slots, steps=steps,
                    descriptors=descriptors)


def _pool_cost(work: Work, table: ConfigTable, constants: CycleConstants) -> WorkCost:
    blocks = ceil_div(ceil_div(work.channels_out, table.p_i), table.p_o // table.p_i)
    slots = np.full(len(table), work.kernel[0] * work.kernel[1] * work.pixels)
    lines = blocks * table.param_lines
    cycles = blocks * np.maximum(slots, table.param_lines) + constants.descriptor
    return _finish(table, (cycles, lines, slots, blocks, slots, np.ones(len(table)), np.ones(len(table))))


def window_usable(work: Work, table: ConfigTable) -> np.ndarray:
    """Whether the window unit of each configuration takes ``work`` (``hwgen.compiler.window``)."""
    if not work.windowed:
        return np.zeros(len(table), bool)
    able = table.has_unit(WindowUnit.POOL, WindowUnit.DEPTHWISE) if work.maximum else table.has_unit(
        WindowUnit.DEPTHWISE)
    width = work.size_in[1]
    return able & (max(work.kernel) <= table.window_kernel) & (width <= table.window_width) & (
        width >= WINDOW_MIN_WIDTH)


def window_cost(work: Work, table: ConfigTable, constants: CycleConstants = CYCLES) -> WorkCost:
    """Cost of ``work`` in the window unit: every word of its map once."""
    blocks = ceil_div(work.channels_in, table.p_i)
    words = blocks * (work.size_in[0] * work.size_in[1])
    one, slots = np.ones(len(table)), words / blocks
    cycles = words + work.size_in[1] + constants.window + constants.descriptor
    return _finish(table, (cycles, blocks * table.window_lines, slots, blocks, slots, one, one))


def drains(before: WorkCost, words: np.ndarray, after: WorkCost, work: Work, latency: np.ndarray) -> np.ndarray:
    """Whether ``after``, the direct successor, must wait because it reads what ``before`` has just written.

    The distance between a block's last write and its first read is linear in the block's number, so the first and the
    last block decide; within a block the reads follow the writes in the same order.

    Args:
        words: output words (channel blocks) of ``before``.
    """
    taps = work.kernel[0] * work.kernel[1]
    near = np.minimum(before.slots, after.slots)
    first = (before.blocks - 1) * before.steps * before.slots + near
    last = (before.blocks - 1) * (words / before.blocks) * taps * after.slots + near
    return np.minimum(first, last) < latency
