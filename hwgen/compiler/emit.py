"""Engine operation + addresses -> compute descriptors, still without stream positions, waits and hazards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hwgen.compiler.descriptor import Descriptor
from hwgen.compiler.operations import ContractOp, ConvOp, Kernel, PoolOp, Tensor, WindowOp
from hwgen.compiler.shapes import Window, block_lines, pair_possible
from hwgen.compiler.strips import Pass, RingBudget, Rows, raw_words, source_rows
from hwgen.compiler.tiling import Tile
from hwgen.compiler.transfer import Box
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
    """What every operation is emitted into: all tensors, the places of those on the chip, and the engine."""

    tensors: dict[str, Tensor]
    places: dict[str, Place]
    config: AcceleratorConfig


@dataclass(frozen=True)
class Operands:
    """Where an operation (or a strip of it) finds its tensors; a place may lie outside memory as long as the words in
    use do not."""

    source: Place
    target: Place
    residual: Place | None = None


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
        again: the stream of an earlier batch, fetched from the image once more.
    """

    descriptors: tuple[Descriptor, ...]
    operation: int
    first_lane: int
    columns: int
    blocks: int
    window: Window | None
    tiles: bool
    again: bool = False


def conv_batch(
    index: int, op: ConvOp, one: Pass, descriptors: Iterable[Descriptor], config: AcceleratorConfig, *,
    again: bool = False,
) -> Batch:
    """The batch of a convolution's pass."""
    part = one.part
    assert part is not None
    window = Window(part.window.base + one.block * part.window.step, part.window.step, part.window.count)
    return Batch(tuple(descriptors), index, one.first_word * config.p_i, config.p_o // (2 if part.pair else 1),
                 one.blocks, window, op.local is None, again)


def conv_tile(
    index: int, op: ConvOp, one: Pass, tile: Tile, *, where: Surroundings, operands: Operands, joined: bool,
    tile_line: int = 0, again: bool = False,
) -> Descriptor:
    """Descriptor of one pixel tile (in coordinates of the whole map) of a pass.

    Args:
        joined: the tile's coordinates count pixels of the map.
        tile_line: first line of the reconstructed kernel, if any.
        again: its weights come once more.
    """
    config, src, out = where.config, where.tensors[op.src], where.tensors[op.dst]
    source, target, part = operands.source, operands.target, one.part
    assert part is not None
    window = part.window
    stride_y, stride_x = op.stride
    per_slot = 2 if part.pair else 1
    step_x = 2 if part.pair else stride_x
    width_in, width_out = src.width, out.width
    height, width = src.height, src.width
    top, left = op.padding[0], op.padding[2]
    y, x = tile.y, tile.x
    iy, ix = y * stride_y - top, x * stride_x - left
    offset = iy * width_in + ix
    pixel = y * width_out + x
    rows = source_rows(op, src, (y, y + tile.rows))
    read_first, read_words = rows[0] * width_in, (rows[1] - rows[0]) * width_in
    if joined:  # coordinates inside the tile, so that maps of any size can be joined
        height, width, iy, ix, offset, pixel = 1, tile.columns, 0, 0, x, x
        read_first, read_words = x, tile.columns
        width_in = width_out = 0
    written = (tile.rows - 1) * width_out + tile.columns + (part.pair and tile.columns % 2)
    first_plane, planes = one.source
    word_step = raw_words(config) if op.raw else part.block_words
    second = 1 if part.pair else target.plane
    flags = {flag for flag, on in (
        (ComputeFlag.PAIR, part.pair), (ComputeFlag.RESIDUAL, op.residual is not None), (ComputeFlag.RAW, op.raw),
        (ComputeFlag.LOCAL_WEIGHTS, op.local is not None)) if on}
    reads = [Box(source.base + first_plane * source.plane + read_first, planes, source.plane, read_words)]
    res = (0, 0, 0, 0, 0)
    if op.residual is not None:
        home = operands.residual
        assert home is not None
        res = (home.base + one.first_word * home.plane + pixel, per_slot, width_out, part.block_words * home.plane,
               1 if part.pair else home.plane)
        reads.append(Box(res[0], one.words, home.plane, written))
    kernel_h, kernel_w = op.kernel
    dilation_y, dilation_x = op.dilation
    dst_base = target.base + one.target[0] * target.plane + pixel
    per_pixel = op.macs / (out.pixels * max(1, op.links.shape[0]))
    return Descriptor(
        node=op.node, operation=index, opcode=Opcode.CONV, flags=frozenset(flags),
        counts=(-(-tile.columns // per_slot), tile.rows, kernel_w, kernel_h, window.count, one.blocks),
        src_base=source.base + first_plane * source.plane + offset,
        src_strides=(step_x, stride_y * width_in, dilation_x, dilation_y * width_in, source.plane,
                     window.step * source.plane),
        iy_base=iy, iy_strides=(0, stride_y, 0, dilation_y, 0, 0),
        ix_base=ix, ix_strides=(step_x, 0, dilation_x, 0, 0, 0),
        height=height, width=width,
        dst=(dst_base, per_slot, width_out, word_step * target.plane, second),
        res=res, last_words=int(part.block_words == 2 and one.words % 2 == 0), lo=op.records.lo, hi=op.records.hi,
        tile_line=tile_line, steps=one.steps, lines=one.lines,
        macs=round(per_pixel * one.words * tile.rows * tile.columns), again=again,
        reads=tuple(reads), writes=(Box(dst_base, one.target[1], target.plane, written),),
    )


def pool_tile(index: int, op: PoolOp, one: Pass, rows: Rows, *, where: Surroundings, operands: Operands) -> Descriptor:
    """Descriptor of output rows [first, end) of a pool's pass."""
    config, source, target = where.config, operands.source, operands.target
    src, dst = where.tensors[op.src], where.tensors[op.dst]
    block_words = config.p_o // config.p_i
    (kernel_h, kernel_w), (stride_y, stride_x) = op.kernel, op.stride
    iy, left = rows[0] * stride_y - op.padding[0], op.padding[2]
    inside = source_rows(op, src, rows)
    src_base = source.base + one.first_word * source.plane
    dst_base = target.base + one.first_word * target.plane + rows[0] * dst.width
    return Descriptor(
        node=op.node, operation=index, opcode=Opcode.MAXPOOL if op.maximum else Opcode.AVGPOOL, flags=frozenset(),
        counts=(kernel_w, kernel_h, dst.width, rows[1] - rows[0], 1, one.blocks),
        src_base=src_base + iy * src.width - left,
        src_strides=(1, src.width, stride_x, stride_y * src.width, 0, block_words * source.plane),
        src_plane=source.plane,
        iy_base=iy, iy_strides=(0, 1, 0, stride_y, 0, 0),
        ix_base=-left, ix_strides=(1, 0, stride_x, 0, 0, 0),
        height=src.height, width=src.width,
        dst=(dst_base, 1, dst.width, block_words * target.plane, target.plane),
        last_words=int(block_words == 2 and one.words % 2 == 0), lo=op.records.lo, hi=op.records.hi, lines=one.lines,
        reads=(Box(src_base + inside[0] * src.width, one.words, source.plane, (inside[1] - inside[0]) * src.width),),
        writes=(Box(dst_base, one.words, target.plane, (rows[1] - rows[0]) * dst.width),),
    )


def window_tile(
    index: int, op: WindowOp, one: Pass, rows: Rows, *, where: Surroundings, operands: Operands
) -> Descriptor:
    """Descriptor of output rows [first, end) of a pass of the window unit."""
    source, target, last = operands.source, operands.target, where.config.window_kernel - 1
    src, dst = where.tensors[op.src], where.tensors[op.dst]
    stride_y, stride_x = op.stride
    iy, ix = rows[0] * stride_y - op.padding[0], -op.padding[2]
    first, end = source_rows(op, src, rows)
    src_base = source.base + one.first_word * source.plane + first * src.width
    dst_base = target.base + one.first_word * target.plane + rows[0] * dst.width
    last_tap = (iy + last - first) * src.width + ix + last
    height, blocks = rows[1] - rows[0], one.blocks
    return Descriptor(
        node=op.node, operation=index, opcode=Opcode.WINDOW_MAX if op.maximum else Opcode.WINDOW_CONV,
        flags=frozenset(), counts=(src.width, end - first, dst.width, height, 1, blocks),
        src_base=src_base, src_strides=(1, src.width, 0, 0, 0, source.plane),
        iy_base=iy, iy_strides=(0, 0, 0, stride_y, 0, 0), ix_base=ix, ix_strides=(0, 0, stride_x, 0, 0, 0),
        height=src.height, width=src.width,
        dst=(dst_base, 1, dst.width, target.plane, 0),
        res=(last_tap, stride_x, stride_y * src.width, (end - first) * src.width, 0),
        last_words=0, lo=op.records.lo, hi=op.records.hi, lines=one.lines,
        macs=round(op.macs * blocks * height / (src.layout.blocks * dst.height)),
        reads=(Box(src_base, blocks, source.plane, (end - first) * src.width),),
        writes=(Box(dst_base, blocks, target.plane, height * dst.width),),
    )


def window_batch(index: int, one: Pass, descriptors: Iterable[Descriptor], config: AcceleratorConfig, *,
                 again: bool = False) -> Batch:
    """The batch of a pass of the window unit."""
    return Batch(tuple(descriptors), index, one.first_word * config.p_i, config.p_i, one.blocks, None, True, again)


def pool_batch(index: int, one: Pass, descriptors: Iterable[Descriptor], config: AcceleratorConfig, *,
               again: bool = False) -> Batch:
    """The batch of a pool's pass."""
    return Batch(tuple(descriptors), index, one.first_word * config.p_i, config.p_o, one.blocks, None, False, again)


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
                written: tuple[Box, ...] = ()
            else:
                target = where.places[op.dst or ""]
                base = target.base + (piece.outer * words + first) * target.plane + piece.row
                dst = (base, 2, words * target.plane, target.plane, 1)
                written = tuple(Box(base + outer * words * target.plane, blocks, target.plane, piece.rows)
                                for outer in range(piece.count))
            step_y = kernel.columns if piece.blocks else op.rank_blocks * source.plane
            flags = {ComputeFlag.PAIR} | ({ComputeFlag.TO_WEIGHTS} if op.last else set())
            made.append(Descriptor(
                node=op.node, operation=index, opcode=Opcode.CONV, flags=frozenset(flags),
                counts=(piece.rows // 2, piece.count, 1, 1, op.rank_blocks, blocks),
                src_base=source.base + piece.outer * op.rank_blocks * source.plane + piece.row,
                src_strides=(2, step_y, 0, 0, source.plane, 0),
                iy_base=0, iy_strides=(0, 0, 0, 0, 0, 0), ix_base=0, ix_strides=(2, 0, 0, 0, 0, 0),
                height=1, width=piece.rows, dst=dst, last_words=0, lo=op.records.lo, hi=op.records.hi,
                steps=op.rank_blocks, lines=lines, reads=_contract_reads(op, piece, source), writes=written,
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


def _contract_reads(op: ContractOp, piece: _Piece, source: Place) -> tuple[Box, ...]:
    if piece.blocks:
        return (Box(source.base + piece.row, op.rank_blocks, source.plane, piece.count * piece.rows),)
    first = source.base + piece.outer * op.rank_blocks * source.plane + piece.row
    return (Box(first, piece.count * op.rank_blocks, source.plane, piece.rows),)
