"""Engine operation + addresses -> compute descriptors, still without stream positions, waits and hazards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hwgen.compiler.descriptor import Descriptor
from hwgen.compiler.operations import ContractOp, ConvOp, Kernel, PoolOp, Tensor
from hwgen.compiler.shapes import Part, Window, block_lines, pair_possible
from hwgen.config.accelerator import AcceleratorConfig
from hwgen.errors import HwgenError
from hwgen.isa.layout import ComputeFlag, Opcode


@dataclass(frozen=True)
class Place:
    """Where a tensor lies: address of its first word and distance of its channel blocks, in words."""

    base: int
    plane: int


@dataclass(frozen=True)
class Surroundings:
    """What every operation is emitted into: all tensors, their places, and the engine."""

    tensors: dict[str, Tensor]
    places: dict[str, Place]
    config: AcceleratorConfig


@dataclass(frozen=True)
class RingBudget:
    """Lines of the weight ring that descriptors sharing their weights may keep: better not more than ``preferred``, so
    that the next layer's weights arrive meanwhile; never more than ``most``."""

    preferred: int
    most: int


@dataclass(frozen=True)
class Batch:
    """Descriptors that use the same lines of the weight stream, one after the other.

    Args:
        descriptors: in order; only the last one frees the lines.
        operation: index of the engine operation.
        first_lane, columns, blocks: output lanes of the stream's blocks: block b holds lanes
            [first_lane + b*columns, ...).
        window: input blocks of every block; None for pools.
        tiles: whether weight tiles are in the stream (not those of reconstructed kernels).
    """

    descriptors: tuple[Descriptor, ...]
    operation: int
    first_lane: int
    columns: int
    blocks: int
    window: Window | None
    tiles: bool


def emit_conv(
    index: int, op: ConvOp, part: Part, where: Surroundings, *, budget: RingBudget, tile_line: int = 0,
) -> Iterator[Batch]:
    """Batches of one part of a convolution.

    Args:
        budget: lines that the tiles of the map may keep in the ring.
        tile_line: first line of the reconstructed kernel, if any.

    Raises:
        HwgenError: the weights of one output block exceed the budget and the map needs several tiles.
    """
    config, dst = where.config, where.tensors[op.dst]
    steps = part.window.count * op.kernel[0] * op.kernel[1]
    records, tile_lines = block_lines(config, part.pair, steps)
    lines = records + (0 if op.local else tile_lines)
    blocks_per_batch = part.blocks
    if len(part.tiling.tiles) > 1:
        if lines > budget.most:
            raise HwgenError(
                f"the weights of one output block take {lines} lines of weight memory, {budget.most} can be kept while "
                f"the {len(part.tiling.tiles)} tiles of the map are computed", where=op.node,
                hint="a configuration with more weight_lines or a larger acc_depth",
            )
        blocks_per_batch = max(1, min(part.blocks, budget.preferred // lines))
    columns = config.p_o // (2 if part.pair else 1)
    out_macs = op.macs / (dst.pixels * max(1, op.links.shape[0]))
    for block in range(0, part.blocks, blocks_per_batch):
        blocks = min(blocks_per_batch, part.blocks - block)
        first = part.first_word + block * part.block_words
        words = min(blocks * part.block_words, part.first_word + part.words - first)
        made = []
        for number in range(len(part.tiling.tiles)):
            made.append(_conv_tile(
                index, op, part, number, where, steps=steps, lines=lines, first_word=first, block=block, blocks=blocks,
                words=words,
                tile_line=tile_line + block * tile_lines if op.local else 0,
                macs=round(out_macs * words * part.tiling.tiles[number].rows * part.tiling.tiles[number].columns),
            ))
        yield Batch(tuple(made), index, first * config.p_i, columns, blocks,
                    Window(part.window.base + block * part.window.step, part.window.step, part.window.count),
                    op.local is None)


def _conv_tile(
    index: int, op: ConvOp, part: Part, number: int, where: Surroundings, *, steps: int, lines: int, first_word: int,
    block: int, blocks: int, words: int, tile_line: int, macs: int,
) -> Descriptor:
    config, src, out_width = where.config, where.tensors[op.src], where.tensors[op.dst].width
    source, target = where.places[op.src], where.places[op.dst]
    tile, window = part.tiling.tiles[number], part.window
    stride_y, stride_x = op.stride
    per_slot = 2 if part.pair else 1
    step_x = 2 if part.pair else stride_x
    width_in, width_out = src.width, out_width
    height, width = src.height, src.width
    top, left = op.padding[0], op.padding[2]
    y, x = tile.y, tile.x
    iy, ix = y * stride_y - top, x * stride_x - left
    offset = iy * width_in + ix
    if part.tiling.joined:  # coordinates inside the tile, so that maps of any size can be joined
        height, width, iy, ix, offset = 1, tile.columns, 0, 0, x
        width_in = width_out = 0
    first_block = window.base + block * window.step
    raw_words = 4 * (config.p_o // config.p_i)
    word_step = raw_words if op.raw else part.block_words
    out_word = first_word // part.block_words * raw_words if op.raw else first_word
    pixel = x if part.tiling.joined else y * width_out + x
    second = 1 if part.pair else target.plane
    flags = {flag for flag, on in (
        (ComputeFlag.PAIR, part.pair), (ComputeFlag.RESIDUAL, op.residual is not None), (ComputeFlag.RAW, op.raw),
        (ComputeFlag.LOCAL_WEIGHTS, op.local is not None)) if on}
    res = (0, 0, 0, 0, 0)
    if op.residual is not None:
        home = where.places[op.residual]
        res = (home.base + first_word * home.plane + pixel, per_slot, width_out, part.block_words * home.plane,
               1 if part.pair else home.plane)
    kernel_h, kernel_w = op.kernel
    dilation_y, dilation_x = op.dilation
    return Descriptor(
        node=op.node, operation=index, opcode=Opcode.CONV, flags=frozenset(flags),
        counts=(-(-tile.columns // per_slot), tile.rows, kernel_w, kernel_h, window.count, blocks),
        src_base=source.base + first_block * source.plane + offset,
        src_strides=(step_x, stride_y * width_in, dilation_x, dilation_y * width_in, source.plane,
                     window.step * source.plane),
        iy_base=iy, iy_strides=(0, stride_y, 0, dilation_y, 0, 0),
        ix_base=ix, ix_strides=(step_x, 0, dilation_x, 0, 0, 0),
        height=height, width=width,
        dst=(target.base + out_word * target.plane + pixel, per_slot, width_out, word_step * target.plane, second),
        res=res, last_words=int(part.block_words == 2 and words % 2 == 0), lo=op.records.lo, hi=op.records.hi,
        tile_line=tile_line, steps=steps, lines=lines, macs=macs, tile=number,
    )


def emit_pool(index: int, op: PoolOp, where: Surroundings) -> Iterator[Batch]:
    """The one batch of a pool."""
    config = where.config
    src, dst, source, target = where.tensors[op.src], where.tensors[op.dst], where.places[op.src], where.places[op.dst]
    block_words = config.p_o // config.p_i
    words = dst.layout.blocks
    blocks = -(-words // block_words)
    (kernel_h, kernel_w), (stride_y, stride_x) = op.kernel, op.stride
    top, left = op.padding[0], op.padding[2]
    records, _ = block_lines(config, False, 0)
    descriptor = Descriptor(
        node=op.node, operation=index, opcode=Opcode.MAXPOOL if op.maximum else Opcode.AVGPOOL, flags=frozenset(),
        counts=(kernel_w, kernel_h, dst.width, dst.height, 1, blocks),
        src_base=source.base - top * src.width - left,
        src_strides=(1, src.width, stride_x, stride_y * src.width, 0, block_words * source.plane),
        src_plane=source.plane,
        iy_base=-top, iy_strides=(0, 1, 0, stride_y, 0, 0),
        ix_base=-left, ix_strides=(1, 0, stride_x, 0, 0, 0),
        height=src.height, width=src.width,
        dst=(target.base, 1, dst.width, block_words * target.plane, target.plane),
        last_words=int(block_words == 2 and words % 2 == 0), lo=op.records.lo, hi=op.records.hi, lines=records,
    )
    yield Batch((descriptor,), index, 0, config.p_o, blocks, None, False)


def emit_contract(
    index: int, op: ContractOp, kernel: Kernel, where: Surroundings, *, region: int, budget: RingBudget
) -> Iterator[Batch]:
    """Batches of one contraction; ``region`` is the first granule of the kernel in weight memory.

    Raises:
        HwgenError: the step's weights do not fit into the budget, or the configuration has no pair shape.
    """
    config = where.config
    if not pair_possible(config):
        raise HwgenError("reconstruction needs the pair shape", where=op.node, allowed="p_o = 2*p_i")
    source = where.places[op.src]
    p_i, taps = config.p_i, kernel.taps
    records, tile_lines = block_lines(config, True, op.rank_blocks)
    lines = records + tile_lines
    words = op.weight.shape[0] // p_i
    pieces = list(_contract_pieces(op, kernel, config.acc_depth))
    per_batch = words if len(pieces) == 1 else max(1, min(words, budget.preferred // lines))
    if len(pieces) > 1 and lines > budget.most:
        raise HwgenError(f"one output block takes {lines} lines of weight memory, {budget.most} can be kept",
                         where=op.node, hint="a configuration with more weight_lines")
    for first in range(0, words, per_batch):
        blocks = min(per_batch, words - first)
        made = []
        for piece in pieces:
            if op.last:
                block, row = divmod(piece.row, kernel.columns)
                base = region + (block * kernel.input_blocks * taps + piece.outer) * kernel.columns + row
                across = kernel.input_blocks * taps * kernel.columns if piece.blocks else kernel.columns
                each = kernel.columns * (1 if op.modes > 1 else taps)
                dst = (base + first * each, 2, across, each, 1)
            else:
                target = where.places[op.dst or ""]
                base = target.base + (piece.outer * words + first) * target.plane + piece.row
                dst = (base, 2, words * target.plane, target.plane, 1)
            step_y = kernel.columns if piece.blocks else op.rank_blocks * source.plane
            flags = {ComputeFlag.PAIR} | ({ComputeFlag.TO_WEIGHTS} if op.last else set())
            made.append(Descriptor(
                node=op.node, operation=index, opcode=Opcode.CONV, flags=frozenset(flags),
                counts=(piece.rows // 2, piece.count, 1, 1, op.rank_blocks, blocks),
                src_base=source.base + piece.outer * op.rank_blocks * source.plane + piece.row,
                src_strides=(2, step_y, 0, 0, source.plane, 0),
                iy_base=0, iy_strides=(0, 0, 0, 0, 0, 0), ix_base=0, ix_strides=(2, 0, 0, 0, 0, 0),
                height=1, width=piece.rows, dst=dst, last_words=0, lo=op.records.lo, hi=op.records.hi,
                steps=op.rank_blocks, lines=lines,
            ))
        yield Batch(tuple(made), index, first * p_i, p_i, blocks, Window(0, 0, op.rank_blocks), True)


@dataclass(frozen=True)
class _Piece:
    """Rows [row, row+rows) of ``count`` outer indices from ``outer`` on; or, ``blocks``, of ``count`` kernel blocks."""

    row: int
    rows: int
    outer: int
    count: int
    blocks: bool = False


def _contract_pieces(op: ContractOp, kernel: Kernel, depth: int) -> Iterator[_Piece]:
    """Cut the rows of a contraction so that a piece has at most ``depth`` slots and, in the last one, a regular
    destination."""
    span = kernel.columns if op.last else op.rows  # rows whose destinations are contiguous
    limit = min(2 * depth, 2046)
    if op.last and op.outer == 1 and span <= limit:
        per = limit // span
        total = op.rows // span
        for block in range(0, total, per):
            yield _Piece(block * span, span, 0, min(per, total - block), True)
        return
    for start in range(0, op.rows, span):
        for row in range(start, start + span, limit):
            rows = min(limit, start + span - row)
            per = max(1, 2 * depth // rows)
            for outer in range(0, op.outer, per):
                yield _Piece(row, rows, outer, min(per, op.outer - outer))
