"""The configurations that are considered for a board."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hwgen.config.accelerator import (
    MAX_ACC_BITS,
    WINDOW_MIN_WIDTH,
    AcceleratorConfig,
    DspPacking,
    WindowUnit,
    aes_cycles,
)
from hwgen.config.board import Board, Resources
from hwgen.cost.arrays import UNITS, ConfigTable
from hwgen.cost.memories import activation_blocks
from hwgen.cost.work import NetworkWork
from hwgen.ir.nodes import Graph
from hwgen.quantize.width import accumulator_bits

WORDS = (8, 16, 32, 64)
LINE_COLUMNS = (2, 4, 8)
#: width of the path from weight memory to the array that has been built and proven
MAX_LINE_BYTES = 128
DEPTHS = (128, 256, 512, 1024, 2048)
#: cycles per block of a port's decryptor, possible for both sizes of keys; besides, one round is considered
AES_CYCLES = (1, 2, 3, 5)
#: kernels of window units that are considered
WINDOW_KERNELS = (2, 3, 4, 5)
_URAM_DEPTH, _BLOCK_DEPTH = 4096, 512
#: of an engine's block or UltraRAM, what activations take where some of the feature maps are spilled
SHARES = (1.0, 0.75, 0.5, 0.375, 0.25, 0.1875, 0.125)
#: ... and, where all of them fit but take more than half of it, what is tried besides
FEWER = (0.5, 0.25)


@dataclass(frozen=True)
class Unit:
    """A window unit, for rows of up to ``width`` words; kind NONE: none."""

    kind: WindowUnit = WindowUnit.NONE
    kernel: int = 3
    width: int = 256


def window_units(network: NetworkWork) -> tuple[Unit, ...]:
    """The window units that are of use to a network, and none."""
    out = [Unit()]
    for kind, works in (
            (WindowUnit.POOL, [w for w in network.works if w.windowed and w.maximum]),
            (WindowUnit.DEPTHWISE, [w for w in network.works if w.windowed and not w.pool])):
        kernels = {max(w.kernel) for w in works} & set(WINDOW_KERNELS)
        for kernel in sorted(kernels):
            widest = max(w.size_in[1] for w in network.works if w.windowed and max(w.kernel) <= kernel)
            if widest >= WINDOW_MIN_WIDTH:
                out.append(Unit(kind, kernel, _power(widest)))
    return tuple(out)


def accumulator_width(graph: Graph, packing: DspPacking) -> int:
    """The width of the accumulators: one multiplier's operand if that is sure to suffice for ``graph``, else the
    default, and more only where sums can be larger (32 at most; the compiler proves whether that is enough)."""
    default = AcceleratorConfig().acc_bits
    needed = accumulator_bits(graph, at_least=min(packing.wide_bits, default))
    return needed if needed <= packing.wide_bits else min(max(needed, default), MAX_ACC_BITS)


def config_table(
    board: Board, activation_words: Callable[[int, bool, bool], int], units: Sequence[Unit] = (Unit(),), *,
    acc_bits: int = AcceleratorConfig().acc_bits, engines: int | None = 1, protected: bool = False, key_bits: int = 128,
) -> ConfigTable:
    """All valid combinations; whether they fit the board is another question.

    The engines of a design share the board's ports and memory blocks evenly.

    Args:
        activation_words: words per bank that the network needs, for a word of so many bytes; with or without the
            overlap of layers that a window unit makes possible, and there with strips in buffers or with whole maps.
        units: window units.
        acc_bits: of an accumulator, see ``accumulator_width``.
        protected: spilled feature maps are encrypted, by units with all rounds of AES or as many as the ports'
            decryptors have.
        engines: only so many, at most as many as the board has ports; None: any number.
        key_bits: 128 or 256; decides how many cycles AES takes in a single round.
    """
    rows: list[tuple[int, ...]] = []
    ciphers = [(own, spill) for own in (*AES_CYCLES, aes_cycles(key_bits)[-1])
               for spill in (sorted({1, own}) if protected else (0,))]
    all_ports = min(board.max_ports, 8)
    counts = range(1, all_ports + 1) if engines is None else (engines,)
    for count, p_i, columns in itertools.product(counts, WORDS, LINE_COLUMNS):
        if p_i % board.packing.chain or columns * p_i % 16 or columns * p_i > MAX_LINE_BYTES:
            continue
        share = board.resources.share(count)
        ports = [(n, *cycles) for n, cycles in itertools.product(range(1, all_ports // count + 1), ciphers)]
        memories = [(unit, ultra, words) for unit in units for ultra in ((0, 1) if share.uram else (0,))
                    for words in _bank_sizes(share, p_i, ultra, _needs(activation_words, p_i, unit))]
        for p_o in (p_i, 2 * p_i):
            if p_o % columns or p_o * 16 % (columns * p_i):
                continue
            least = 2 * p_o // columns + p_o * 16 // (columns * p_i)
            lines = [n for n in _weight_lines(share, p_i, columns) if n >= least]
            rows += [(p_i, p_o, depth, words, columns, n, *port, ultra, UNITS.index(unit.kind), unit.kernel, unit.width,
                      count)
                     for depth, (unit, ultra, words), n, port in itertools.product(DEPTHS, memories, lines, ports)]
    table = np.array(rows, np.int64).T
    return ConfigTable(
        p_i=table[0], p_o=table[1], acc_depth=table[2], act_words=table[3], line_columns=table[4],
        weight_lines=table[5], axi_ports=table[6], aes_cycles=table[7], spill_aes_cycles=table[8], act_ultra=table[9],
        window=table[10], window_kernel=table[11], window_width=table[12], engines=table[13],
        acc_bits=np.full(len(rows), acc_bits), program_words=np.full(len(rows), 2048))


def _needs(activation_words: Callable[[int, bool, bool], int], p_i: int, unit: Unit) -> list[int]:
    """Words of a bank that the network needs, without and, where a window unit makes that of use, with overlap (strips
    of maps in buffers, or whole maps)."""
    ways = ((False, False),) if unit.kind is WindowUnit.NONE else ((False, False), (True, True), (True, False))
    return [activation_words(p_i, *one) for one in ways]


def _bank_sizes(share: Resources, p_i: int, ultra: int, needs: Sequence[int]) -> list[int]:
    """Words of a bank, in whole rows of its memory: all that the network needs, and, where the board has little room or
    none for that, less (the rest of the feature maps is spilled); ``share``: the engine's part of the board."""
    step = 2 * (_URAM_DEPTH if ultra else _BLOCK_DEPTH)
    have = share.uram if ultra else share.bram36

    def most(part: float) -> int:
        """Largest bank that takes so much of the memory, found by bisection."""
        low, high = 0, 1 << 8
        while high - low > 1:
            middle = (low + high) // 2
            fits = bool(activation_blocks(p_i, middle * step, ultra) <= part * have)
            low, high = (middle, high) if fits else (low, middle)
        return low * step

    sizes = {-(-need // step) * step for need in needs}
    largest = most(1.0)
    fitting = {size for size in sizes if size <= largest}
    least = min(sizes)
    if not fitting:
        fitting = {most(part) for part in SHARES}
    elif least > most(0.5):
        fitting |= {most(part) for part in FEWER}
    return sorted(size for size in fitting if size)


def _power(words: int) -> int:
    return 1 << max(0, words - 1).bit_length()


def _weight_lines(have: Resources, p_i: int, columns: int) -> list[int]:
    """Useful depths of weight memory: whole UltraRAM rows, or steps of block RAM, up to all there is."""
    if have.uram:
        side_by_side = -(-p_i * 8 // 72) * columns
        return [_URAM_DEPTH * n for n in range(1, int(have.uram // side_by_side) + 1)]
    blocks_wide = -(-p_i * 8 // 72) * columns
    most = int(have.bram36 // blocks_wide) * 512
    steps = [512 * n for n in (1, 2, 3, 4, 6, 8, 12, 16, 20, 24, 28, 32, 40, 48)]
    return [n for n in steps if n <= most]
