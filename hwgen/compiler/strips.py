"""Operations cut into strips of rows: what a strip needs of its operands, and the buffers it finds them in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from hwgen.compiler.operations import ConvOp, PoolOp, Tensor, WindowOp
from hwgen.compiler.shapes import Part, block_lines
from hwgen.compiler.tiling import Tile, Tiling, plan_tiles
from hwgen.config.accelerator import AcceleratorConfig
from hwgen.errors import HwgenError

Rows = tuple[int, int]  #: [first, end)
StripOp = ConvOp | PoolOp | WindowOp


@dataclass(frozen=True)
class RingBudget:
    """Lines of the weight ring that descriptors sharing their weights may keep: better not more than ``preferred``, so
    that the next layer's weights arrive meanwhile; never more than ``most``."""

    preferred: int
    most: int


@dataclass(frozen=True)
class Pass:
    """Consecutive output blocks of an operation that are computed with one batch of weights.

    Args:
        part: of the convolution; None for pools and the window unit.
        block, blocks: first output block, counted within the part, and how many.
        first_word, words: output channel blocks.
        source: first plane of the input, and planes.
        target: first plane of the output, and planes (not the same as words for raw outputs).
        steps: weight tiles of a block; lines: of the weight stream, of a block.
    """

    part: Part | None
    block: int
    blocks: int
    first_word: int
    words: int
    source: tuple[int, int]
    target: tuple[int, int]
    steps: int
    lines: int


@dataclass(frozen=True)
class Staging:
    """Buffers for strips of one operand: ``slots`` buffers of ``planes`` planes of ``plane`` words (odd) each."""

    slots: int
    planes: int
    plane: int

    @property
    def words(self) -> int:
        """Of one buffer; even, so that transfers of 16 bytes fit for every p_i."""
        return self.planes * self.plane + self.planes * self.plane % 2


@dataclass(frozen=True)
class StripPlan:
    """How an operation runs whose operands are not all on the chip.

    Args:
        strips: output rows of every strip.
        restream: the strips are the outer loop and the weights of all output blocks come again for each of them;
            otherwise the passes are the outer loop and each of them runs over all strips.
        limit: largest number of output blocks of a pass; 0: as many as the ring allows.
        source, residual, target: staging; None: the operand is on the chip.
    """

    strips: tuple[Rows, ...]
    restream: bool
    limit: int
    source: Staging | None = None
    residual: Staging | None = None
    target: Staging | None = None


def unit_words(config: AcceleratorConfig) -> int:
    """Activation words that a transfer of 16 bytes holds at least."""
    return max(1, 16 // config.p_i)


def source_rows(op: StripOp, src: Tensor, rows: Rows) -> Rows:
    """Rows of the input that output rows [first, end) read; empty when they only see padding."""
    dilation = op.dilation[0] if isinstance(op, ConvOp) else 1
    first = rows[0] * op.stride[0] - op.padding[0]
    end = (rows[1] - 1) * op.stride[0] - op.padding[0] + (op.kernel[0] - 1) * dilation + 1
    first, end = max(0, first), min(src.height, end)
    return (first, end) if first < end else (0, 0)


def word_range(rows: Rows, width: int, config: AcceleratorConfig) -> Rows:
    """Words of a plane that hold the rows, widened to whole transfers of 16 bytes."""
    unit = unit_words(config)
    return rows[0] * width // unit * unit, -(-rows[1] * width // unit) * unit


def raw_words(config: AcceleratorConfig) -> int:
    """Words of a raw output block."""
    return 4 * (config.p_o // config.p_i)


def passes(
    op: StripOp, parts: tuple[Part, ...], words: int, config: AcceleratorConfig, budget: RingBudget, *, shared: bool,
    limit: int = 0,
) -> list[Pass]:
    """The passes of an operation with ``words`` output channel blocks.

    Args:
        parts: of a convolution.
        shared: several descriptors use the weights of a pass, which stay in the ring meanwhile.
        limit: largest number of blocks, 0 for none.

    Raises:
        HwgenError: the weights of one output block exceed the budget.
    """
    out: list[Pass] = []
    if not isinstance(op, ConvOp):
        size = config.p_o // config.p_i if isinstance(op, PoolOp) else 1
        total = -(-words // size)
        lines = block_lines(config, False, 0)[0] if isinstance(op, PoolOp) else config.window_lines
        per = _per_pass(op, total, lines, budget, limit, shared=shared)
        for block in range(0, total, per):
            first = block * size
            own = min(per * size, words - first)
            out.append(Pass(None, block, min(per, total - block), first, own, (first, own), (first, own), 0, lines))
        return out
    for part in parts:
        steps = part.window.count * op.kernel[0] * op.kernel[1]
        records, tiles = block_lines(config, part.pair, steps)
        lines = records + (0 if op.local else tiles)
        per = _per_pass(op, part.blocks, lines, budget, limit, shared=shared)
        for block in range(0, part.blocks, per):
            blocks = min(per, part.blocks - block)
            first = part.first_word + block * part.block_words
            own = min(blocks * part.block_words, part.first_word + part.words - first)
            source = (part.window.base + block * part.window.step,
                      (blocks - 1) * part.window.step + part.window.count)
            raw = raw_words(config)
            target = (first // part.block_words * raw, blocks * raw) if op.raw else (first, own)
            out.append(Pass(part, block, blocks, first, own, source, target, steps, lines))
    return out


def _per_pass(op: StripOp, blocks: int, lines: int, budget: RingBudget, limit: int, *, shared: bool) -> int:
    per = min(blocks, limit) if limit else blocks
    if not shared:
        return per
    if lines > budget.most:
        raise HwgenError(
            f"the weights of one output block take {lines} lines of weight memory, {budget.most} can be kept while "
            "the tiles of the map are computed", where=op.node,
            hint="a configuration with more weight_lines or a larger acc_depth")
    return max(1, min(per, budget.preferred // lines))


def strip_tiles(part: Part, op: ConvOp, dst: Tensor, rows: Rows, config: AcceleratorConfig) -> Tiling:
    """Tiles of a strip, in coordinates of the whole map.

    Raises:
        HwgenError: the strip's rows cannot be cut in the part's shape.
    """
    if rows == (0, dst.height):
        return part.tiling
    found = plan_tiles(rows[1] - rows[0], dst.width, op.pointwise, part.pair, config.acc_depth)
    if found is None:
        raise HwgenError(f"rows of {dst.width} columns cannot be cut in the pair shape", where=op.node)
    return replace(found, tiles=tuple(_moved(tile, rows[0], dst.width, found.joined) for tile in found.tiles))


def _moved(tile: Tile, row: int, width: int, joined: bool) -> Tile:
    return replace(tile, x=tile.x + row * width) if joined else replace(tile, y=tile.y + row)


def even_strips(height: int, count: int, step: int) -> tuple[Rows, ...]:
    """About ``count`` strips of equal height, a multiple of ``step`` but for the last."""
    rows = -(-height // count)
    size = -(-rows // step) * step
    return tuple((row, min(row + size, height)) for row in range(0, height, size))


def union(ranges: Iterator[tuple[int, int]] | list[tuple[int, int]]) -> tuple[int, int]:
    """(first, count) that covers all given (first, count)."""
    given = list(ranges)
    first = min(a for a, _ in given)
    return first, max(a + n for a, n in given) - first
