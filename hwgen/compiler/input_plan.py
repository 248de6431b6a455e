"""The frame's input in pieces: the first convolution starts when the first rows have landed."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hwgen.compiler.emit import Place
from hwgen.compiler.operations import ConvOp, Lowered, Tensor
from hwgen.compiler.shapes import Part
from hwgen.compiler.tiling import plan_tiles
from hwgen.compiler.transfer import Box, Load, Region, beats
from hwgen.config.accelerator import AcceleratorConfig

#: slots of a tile below which another descriptor costs more than it gains
MIN_SLOTS = 96
MAX_LOADS = 16


@dataclass(frozen=True)
class InputPlan:
    """Loads of the input; ``reader``: index of the operation whose tiles follow the pieces, None when it is loaded in
    one piece."""

    loads: tuple[Load, ...]
    reader: int | None


def cut_first_reader(
    lowered: Lowered, parts: dict[int, tuple[Part, ...]], config: AcceleratorConfig, pieces: int
) -> tuple[int | None, dict[int, tuple[Part, ...]]]:
    """(first reader of the input, parts with that reader's map cut into about ``pieces`` tiles).

    Only a convolution of one part is cut; its index is None otherwise.
    """
    index = next(i for i, op in enumerate(lowered.operations) if op.src == lowered.input)
    op = lowered.operations[index]
    if not isinstance(op, ConvOp) or op.local is not None or len(parts[index]) != 1 or op.residual == lowered.input:
        return None, parts
    part, dst = parts[index][0], lowered.tensors[op.dst]
    slots = sum(tile.iterations(part.pair) for tile in part.tiling.tiles)
    pieces = min(pieces, slots // MIN_SLOTS)
    if pieces > len(part.tiling.tiles):
        depth = max(MIN_SLOTS, -(-slots // pieces))
        if not op.pointwise:  # whole rows
            row = -(-dst.width // (2 if part.pair else 1))
            depth = -(-depth // row) * row
        tiling = plan_tiles(dst.height, dst.width, op.pointwise, part.pair, min(depth, config.acc_depth))
        if tiling is not None:
            parts = {**parts, index: (replace(part, tiling=tiling),)}
    return index, parts


def plan_input(
    lowered: Lowered, place: Place, parts: dict[int, tuple[Part, ...]], reader: int | None, config: AcceleratorConfig
) -> InputPlan:
    """Loads of the input tensor at ``place``, cut as the tiles of its first reader need it."""
    tensor = lowered.tensors[lowered.input]
    planes, p_i = tensor.layout.blocks, config.p_i
    words = planes * place.plane
    region = Region(tensor.name, 0, place.plane, scratch=False)

    def load(start: int, count: int, planes: int = 1) -> Load:
        return Load(box=Box(place.base + start, planes, place.plane, count), region=region, first_plane=0,
                    first_word=start)

    whole = InputPlan((load(0, beats(words, p_i) * 16 // p_i),), None)
    if reader is None:
        return whole
    op = lowered.operations[reader]
    assert isinstance(op, ConvOp)
    step = 2 if p_i == 8 else 1  # words of a beat
    ends = [min(-(-end // step) * step, place.plane) for end in _needed(op, parts[reader][0], tensor)]
    ends[-1] = -(-tensor.pixels // step) * step
    cuts = sorted(set(ends))
    if len(cuts) == 1 or (p_i == 8 and planes > 1):  # planes of 8 bytes a word begin in the middle of a transfer
        return whole
    several = -(-len(cuts) // MAX_LOADS)  # tiles that share a piece
    cuts = cuts[::-1][::several][::-1]
    loads = tuple(load(start, end - start, planes) for start, end in zip((0, *cuts), cuts, strict=False))
    return InputPlan(loads, reader)


def _needed(op: ConvOp, part: Part, tensor: Tensor) -> list[int]:
    """Pixels of the input that tile t and the tiles before it read."""
    out, most = [], 0
    for tile in part.tiling.tiles:
        if part.tiling.joined:
            end = tile.x + tile.columns
        else:
            row = (tile.y + tile.rows - 1) * op.stride[0] + (op.kernel[0] - 1) * op.dilation[0] - op.padding[0]
            end = min(max(row + 1, 1), tensor.height) * tensor.width
        most = max(most, end)
        out.append(most)
    return out
