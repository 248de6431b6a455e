"""Block RAM, UltraRAM and multipliers of many configurations: they follow from construction."""

from __future__ import annotations

import numpy as np

from hwgen.config.accelerator import DspPacking
from hwgen.cost.arrays import ConfigTable

#: (width, depth) shapes of a 36 kbit block with one read and one write port
_BLOCK_SHAPES = ((72, 512), (36, 1024), (18, 2048), (9, 4096), (4, 8192), (2, 16384), (1, 32768))
ULTRA_WIDTH, ULTRA_DEPTH = 72, 4096


def block_rams(width: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """36 kbit blocks of a simple dual-port memory, in the shape that needs fewest (halves count as halves)."""
    best = np.full(np.broadcast(width, depth).shape, np.inf)
    for shape_width, shape_depth in _BLOCK_SHAPES:
        for share in (1.0, 0.5):
            own_width = shape_width * share
            if own_width < 1:
                continue
            best = np.minimum(best, share * np.ceil(width / own_width) * np.ceil(depth / shape_depth))
    return best


def ultra_rams(width: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """UltraRAM blocks of a memory; the bits of a block's word that are left over serve nothing else."""
    return np.ceil(width / ULTRA_WIDTH) * ultra_rows(depth)


def ultra_rows(depth: np.ndarray) -> np.ndarray:
    """UltraRAM blocks below one another."""
    return np.ceil(depth / ULTRA_DEPTH)


def block_total(table: ConfigTable, *, weights_ultra: bool) -> np.ndarray:
    """36 kbit blocks of every row: activations, accumulators, program and, without UltraRAM, weights."""
    word = table.p_i * 8
    activations = np.where(table.act_ultra, 0, 4 * block_rams(word, np.maximum(table.act_words // 2, 512)))
    accumulators = block_rams(table.p_o * table.acc_bits, np.maximum(table.acc_depth, 512))
    program = block_rams(np.full(len(table), 128), table.program_words)
    # weight memory is one memory per granule of p_i bytes
    weights = 0 if weights_ultra else table.line_columns * block_rams(word, table.weight_lines)
    return activations + accumulators + program + weights


def ultra_total(table: ConfigTable, *, weights_ultra: bool) -> np.ndarray:
    """UltraRAM blocks of every row: weights, and activations where they lie in UltraRAM."""
    word = table.p_i * 8
    weights = table.line_columns * ultra_rams(word, table.weight_lines) if weights_ultra else 0
    return weights + np.where(table.act_ultra, 4 * ultra_rams(word, table.act_words / 2), 0)


def multipliers(table: ConfigTable, packing: DspPacking) -> np.ndarray:
    """Multipliers of the array, and of every lane of the post-processor: accumulator and residual x 16 bit unsigned."""
    wide = {DspPacking.DSP48E2: 27, DspPacking.DSP48E1: 25, DspPacking.NONE: 18}[packing]
    array = table.p_i * table.p_o / (1 if packing is DspPacking.NONE else 2)
    return array + (np.ceil(table.acc_bits / wide) + 1) * table.p_o
