"""Which array shape each range of output channels takes: p_o channels of one pixel, or p_o/2 channels of two pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwgen.compiler.operations import ConvOp, Tensor
from hwgen.compiler.options import Timing
from hwgen.compiler.tiling import Tiling, plan_tiles
from hwgen.config.accelerator import AcceleratorConfig
from hwgen.errors import HwgenError

#: what a cycle in the pair shape counts where the window unit reads beside it
PAIR_READS = 1.9


@dataclass(frozen=True)
class Window:
    """Input blocks [base + step*b, base + step*b + count) belong to output block b."""

    base: int
    step: int
    count: int


@dataclass(frozen=True)
class Part:
    """Consecutive output words of one layer in one shape.

    Args:
        pair: two pixels x p_o/2 channels.
        first_word: first output word (channel block of p_i lanes).
        words: output words.
        block_words: words per output block in this shape.
        window: input blocks of every output block, counted from ``first_word``.
        tiling: of the map.
    """

    pair: bool
    first_word: int
    words: int
    block_words: int
    window: Window
    tiling: Tiling

    @property
    def blocks(self) -> int:
        """Output blocks."""
        return -(-self.words // self.block_words)


def pair_possible(config: AcceleratorConfig) -> bool:
    """Whether the weight memory's lines divide evenly into the pair shape's half tiles and half records."""
    half = config.p_o // 2
    return config.pair_mode and half % config.line_columns == 0 and half % config.params_per_line == 0


def block_lines(config: AcceleratorConfig, pair: bool, steps: int) -> tuple[int, int]:
    """(record lines, tile lines) of one output block with ``steps`` tiles."""
    divisor = 2 if pair else 1
    return config.param_lines // divisor, steps * config.lines_per_tile // divisor


def find_window(links: np.ndarray, first_word: int, words: int, block_words: int) -> Window:
    """Smallest regular window of input blocks that covers everything each output block is linked to."""
    inputs = links.shape[1]
    low, high = [], []
    for start in range(first_word, first_word + words, block_words):
        used = np.flatnonzero(links[start:min(start + block_words, first_word + words)].any(axis=0))
        low.append(int(used[0]) if used.size else 0)
        high.append(int(used[-1]) if used.size else 0)
    best = Window(0, 0, inputs)
    for step in range(inputs):
        base = max(0, min(a - step * b for b, a in enumerate(low)))
        count = max(e - step * b for b, e in enumerate(high)) - base + 1
        covers = all(base + step * b <= a for b, a in enumerate(low))
        inside = base + step * (len(low) - 1) + count <= inputs
        if covers and inside and count < best.count:
            best = Window(base, step, count)
    return best


def part_cycles(op: ConvOp, part: Part, config: AcceleratorConfig, timing: Timing) -> int:
    """Predicted cycles of a part, without hazards."""
    steps = part.window.count * op.kernel[0] * op.kernel[1]
    records, lines = block_lines(config, part.pair, steps)
    per_tile = lines // steps
    total = 0
    for tile in part.tiling.tiles:
        slots = tile.iterations(part.pair) * (timing.raw_interval if op.raw else 1)
        step = max(slots, per_tile, timing.min_step)
        total += part.blocks * ((steps - 1) * step + max(step, per_tile + records)) + timing.descriptor
    return total


def choose_parts(
    op: ConvOp, dst: Tensor, config: AcceleratorConfig, timing: Timing, pair_allowed: bool, *,
    single_reads: bool = False,
) -> tuple[Part, ...]:
    """Parts of a convolution in writing order: normal blocks first, the rest in the pair shape, whichever is fastest.

    On equal cycles the division with fewer descriptors wins, then the one with more pair blocks (its output blocks are
    shorter, so that the next layer's first reads are farther from the last writes).

    Args:
        single_reads: cycles in the pair shape count ``PAIR_READS`` times: normal blocks read one word a cycle and leave
            every other one of the bank to the window unit, pairs of pixels leave none.
    """
    words = op.links.shape[0]
    per_block = config.p_o // config.p_i
    pair_ok = (pair_allowed and pair_possible(config) and op.stride[1] == 1 and not op.raw)

    def make(pair: bool, first: int, count: int) -> Part | None:
        size = 1 if pair else per_block
        tiling = plan_tiles(dst.height, dst.width, op.pointwise, pair, config.acc_depth)
        if tiling is None:
            return None
        return Part(pair, first, count, size, find_window(op.links, first, count, size), tiling)

    candidates: list[tuple[Part, ...]] = []
    for normal in sorted({0, words, *(range(per_block, words, per_block))}):
        if normal < words and not pair_ok:
            continue
        parts = [make(False, 0, normal)] if normal else []
        if normal < words:
            parts.append(make(True, normal, words - normal))
        if all(p is not None for p in parts):
            candidates.append(tuple(p for p in parts if p is not None))
    if not candidates:
        raise HwgenError("no array shape is possible", where=op.node)

    def cost(parts: tuple[Part, ...]) -> tuple[float, int, int]:
        cycles = sum(part_cycles(op, p, config, timing) * (PAIR_READS if single_reads and p.pair else 1) for p in parts)
        return cycles, sum(len(p.tiling.tiles) for p in parts), sum(p.words for p in parts if not p.pair)

    if op.local is not None:  # the kernel's tile format was fixed when it was lowered: one part
        raise HwgenError("reconstructed kernels have a fixed shape", where=op.node)
    return min(candidates, key=cost)


def fixed_part(op: ConvOp, dst: Tensor, config: AcceleratorConfig, columns: int) -> Part:
    """The one part of a convolution on a reconstructed kernel with ``columns`` output columns a tile."""
    pair = columns < config.p_o
    tiling = plan_tiles(dst.height, dst.width, op.pointwise, pair, config.acc_depth)
    if tiling is None:
        raise HwgenError(f"rows of {dst.width} columns cannot be cut in the pair shape", where=op.node)
    words = op.links.shape[0]
    return Part(pair, 0, words, columns // config.p_i, Window(0, 0, op.links.shape[1]), tiling)
