"""Block RAM, UltraRAM and multipliers of many configurations: they follow from construction."""

from __future__ import annotations

import numpy as np

from hwgen.config.accelerator import DspPacking, WindowUnit
from hwgen.cost.arrays import ConfigTable
from rtl_templates.engine.timing import WINDOW_QUEUE

#: (width, depth) shapes of a 36 kbit block with one read and one write port
_BLOCK_SHAPES = ((72, 512), (36, 1024), (18, 2048), (9, 4096), (4, 8192), (2, 16384), (1, 32768))
ULTRA_WIDTH, ULTRA_DEPTH = 72, 4096


def _block_shapes(width: np.ndarray, depth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Blocks, and how many stand below one another, in the shape that needs fewest blocks."""
    best = np.full(np.broadcast(width, depth).shape, np.inf)
    rows = np.zeros(best.shape)
    for shape_width, shape_depth in reversed(_BLOCK_SHAPES):
        below = np.ceil(depth / shape_depth)
        for share in (1.0, 0.5):
            own_width = shape_width * share
            if own_width < 1:
                continue
            blocks = share * np.ceil(width / own_width) * below
            rows = np.where(blocks < best, below, rows)
            best = np.minimum(best, blocks)
    return best, rows


def block_rams(width: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """36 kbit blocks of a simple dual-port memory, in the shape that needs fewest (halves count as halves)."""
    return _block_shapes(width, depth)[0]


def block_rows(width: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Blocks below one another in that shape; of several, the deepest."""
    return _block_shapes(width, depth)[1]


def ultra_rams(width: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """UltraRAM blocks of a memory; the bits of a block's word that are left over serve nothing else."""
    return np.ceil(width / ULTRA_WIDTH) * ultra_rows(depth)


def ultra_rows(depth: np.ndarray) -> np.ndarray:
    """UltraRAM blocks below one another."""
    return np.ceil(depth / ULTRA_DEPTH)


def activation_blocks(p_i: np.ndarray | int, act_words: np.ndarray | int, ultra: int) -> np.ndarray:
    """Blocks (UltraRAM if ``ultra``, else 36 kbit blocks) of activation memory: four sub-banks."""
    word, depth = np.asarray(p_i) * 8, np.asarray(act_words) // 2
    return 4 * (ultra_rams(word, depth) if ultra else block_rams(word, np.maximum(depth, 512)))


def block_total(table: ConfigTable, *, weights_ultra: bool) -> np.ndarray:
    """36 kbit blocks of every row: activations, accumulators, program, window unit and, without UltraRAM, weights."""
    activations = np.where(table.act_ultra, 0, activation_blocks(table.p_i, table.act_words, 0))
    accumulators = block_rams(table.p_o * table.acc_bits, np.maximum(table.acc_depth, 512))
    program = block_rams(np.full(len(table), 128), table.program_words)
    # the window unit's older rows in one memory, and the queue of its weight lines
    rows = block_rams((table.window_kernel - 1) * table.p_i * 8, np.maximum(table.window_width, 512))
    queue = block_rams(table.line_bytes * 8, np.full(len(table), WINDOW_QUEUE))
    window = np.where(table.has_unit(WindowUnit.NONE), 0, rows + queue)
    # weight memory is one memory per granule of p_i bytes
    weights = 0 if weights_ultra else table.line_columns * block_rams(table.p_i * 8, table.weight_lines)
    return activations + accumulators + program + window + weights


def ultra_total(table: ConfigTable, *, weights_ultra: bool) -> np.ndarray:
    """UltraRAM blocks of every row: weights, and activations where they lie in UltraRAM."""
    weights = table.line_columns * ultra_rams(table.p_i * 8, table.weight_lines) if weights_ultra else 0
    return weights + np.where(table.act_ultra, activation_blocks(table.p_i, table.act_words, 1), 0)


def multipliers(table: ConfigTable, packing: DspPacking) -> np.ndarray:
    """Multipliers of every row: array; accumulator and residual x 16 bit unsigned in every lane of the post-processor;
    a tap each, and accumulator x 16 bit, in every lane of a window unit that convolves."""
    scale = np.ceil(table.acc_bits / packing.wide_bits)
    array = table.p_i * table.p_o / (1 if packing is DspPacking.NONE else 2)
    window = np.where(table.has_unit(WindowUnit.DEPTHWISE), table.p_i * (table.window_kernel ** 2 + scale), 0)
    return array + (scale + 1) * table.p_o + window
