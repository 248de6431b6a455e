"""The configurations that are considered for a board."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

from hwgen.config.board import Board, Resources
from hwgen.cost.arrays import ConfigTable

WORDS = (8, 16, 32, 64)
LINE_COLUMNS = (2, 4, 8)
#: width of the path from weight memory to the array that has been built and proven
MAX_LINE_BYTES = 128
DEPTHS = (128, 256, 512, 1024, 2048)
ACC_BITS = 27
_URAM_DEPTH = 4096
_BRAM_BYTES, _URAM_BYTES = 4608, 36864
#: of an engine's block or UltraRAM, what activations may take
SHARE = 0.75


def config_table(board: Board, activation_words: Callable[[int], int], *, engines: int | None = None) -> ConfigTable:
    """All valid combinations; whether they fit the board is another question.

    The engines of a design share the board's ports and memory blocks evenly.

    Args:
        activation_words: words per bank that the network needs, for a word of so many bytes.
        engines: only so many, at most as many as the board has ports; None: any number.
    """
    rows: list[tuple[int, ...]] = []
    all_ports = min(board.max_ports, 8)
    counts = range(1, all_ports + 1) if engines is None else (engines,)
    for count, p_i, columns in itertools.product(counts, WORDS, LINE_COLUMNS):
        if p_i % board.packing.chain or columns * p_i % 16 or columns * p_i > MAX_LINE_BYTES:
            continue
        share = board.resources.share(count)
        banks = _bank_sizes(share, p_i, max(512, _power(activation_words(p_i))))
        ports = range(1, all_ports // count + 1)
        for p_o in (p_i, 2 * p_i):
            if p_o % columns or p_o * 16 % (columns * p_i):
                continue
            least = 2 * p_o // columns + p_o * 16 // (columns * p_i)
            lines = [n for n in _weight_lines(share, p_i, columns) if n >= least]
            ultra = (0, 1) if share.uram else (0,)
            rows += [(p_i, p_o, depth, words, columns, n, port, u, count)
                     for depth, words, n, port, u in itertools.product(DEPTHS, banks, lines, ports, ultra)]
    table = np.array(rows, np.int64).T
    return ConfigTable(
        p_i=table[0], p_o=table[1], acc_depth=table[2], act_words=table[3], line_columns=table[4],
        weight_lines=table[5], axi_ports=table[6], act_ultra=table[7], engines=table[8],
        acc_bits=np.full(len(rows), ACC_BITS),
        program_words=np.full(len(rows), 2048))


def _bank_sizes(have: Resources, p_i: int, words: int) -> list[int]:
    """Words of a bank: all that the network needs, or, where there is no room for that, any smaller power of two
    (the rest of the feature maps is spilled)."""
    room = SHARE * max(have.bram36 * _BRAM_BYTES, have.uram * _URAM_BYTES)
    if 2 * words * p_i <= room:
        return [words]
    if room < 2 * 512 * p_i:
        return []
    most = 1 << (int(room) // (2 * p_i)).bit_length() - 1
    return [size for size in (most >> k for k in range(4)) if size >= 512]


def _power(words: int) -> int:
    return 1 << max(0, words - 1).bit_length()


def _weight_lines(have: Resources, p_i: int, columns: int) -> list[int]:
    """Useful depths of weight memory: whole UltraRAM rows, or steps of block RAM, up to all there is."""
    if have.uram:
        side_by_side = -(-p_i * 8 // 72) * columns
        return [_URAM_DEPTH * n for n in range(1, int(have.uram // side_by_side) + 1)]
    blocks_wide = -(-p_i * columns * 8 // 72)
    most = int(have.bram36 // blocks_wide) * 512
    steps = [512 * n for n in (1, 2, 3, 4, 6, 8, 12, 16, 20, 24, 28, 32, 40, 48)]
    return [n for n in steps if n <= most]
