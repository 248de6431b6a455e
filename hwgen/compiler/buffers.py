"""The frame's buffers in memory: where outputs, dumps and spilled tensors lie, and which strips go where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hwgen.compiler.memory_plan import block_of, roots, word_planes
from hwgen.compiler.operations import ConvOp, Lowered, Tensor
from hwgen.compiler.schedule import Destination, Item
from hwgen.compiler.storage import Storage
from hwgen.compiler.strips import unit_words
from hwgen.compiler.transfer import Box, Load, Region, Store, beats
from hwgen.config.accelerator import AcceleratorConfig
from hwgen.errors import HwgenError
from hwgen.image.io_layout import OutputLayout
from hwgen.ir.nodes import Graph, Node, QConv2d

#: longest row of a protected feature map, as long as the longest segment of an image
MOST_ROW_BEATS = 1024


@dataclass(frozen=True)
class Outputs:
    """The output buffer.

    Args:
        layouts: of every stored tensor.
        regions: where the strips of a stored tensor go that is not on the chip, and how many of its planes.
        stores: operation -> stores of tensors on the chip that are complete behind it.
        size: bytes.
    """

    layouts: dict[str, OutputLayout]
    regions: dict[str, tuple[Region, int]]
    stores: dict[int, list[Store]]
    size: int


@dataclass(frozen=True)
class Scratch:
    """Spilled tensors: ``sources``, by root, are what strips are loaded from; ``destinations`` what they go to."""

    sources: dict[str, Region]
    destinations: dict[str, list[Destination]]
    scratch_bytes: int


def transfer_plane(tensor: Tensor, config: AcceleratorConfig) -> int:
    """Words of a plane in memory whose rows are transferred on their own: whole transfers of 16 bytes."""
    unit = unit_words(config)
    return -(-tensor.pixels // unit) * unit


def plan_outputs(
    graph: Graph, lowered: Lowered, storage: Storage, config: AcceleratorConfig, stored: Sequence[str]
) -> Outputs:
    """Layouts and stores of ``stored``, the network's output first."""
    layouts: dict[str, OutputLayout] = {}
    regions: dict[str, tuple[Region, int]] = {}
    stores: dict[int, list[Store]] = {}
    finished, root, offset = _finished(lowered), roots(lowered), 0
    for name in stored:
        tensor = lowered.tensors[name]
        planes = tensor.layout.blocks
        if tensor.raw:
            planes = min(word_planes(tensor, config), -(-tensor.layout.channels // (config.p_i // 4)))
        spilled = root[name] in storage.spilled
        plane = transfer_plane(tensor, config) if spilled else storage.plan.places[name].plane
        unit = unit_words(config)
        words = -(-planes * plane // unit) * unit
        region = Region(name, offset, plane, scratch=False)
        if spilled:
            regions[name] = region, planes
        else:
            stores.setdefault(finished[name], []).append(Store(
                box=Box(storage.plan.places[name].base, 1, 0, words), region=region, first_plane=0, first_word=0))
        node = graph[graph.output if name == lowered.output else name]
        layouts[name] = _output_layout(node, tensor, plane, offset, words * config.p_i)
        offset += words * config.p_i // 16
    return Outputs(layouts, regions, stores, 16 * offset)


def plan_scratch(lowered: Lowered, storage: Storage, config: AcceleratorConfig, outputs: Outputs) -> Scratch:
    """Regions of all spilled tensors; one that nobody reads has none in the scratch buffer."""
    root = roots(lowered)
    read = {root[name] for op in lowered.operations
            for name in (op.src, *([op.residual] if isinstance(op, ConvOp) and op.residual else []))}
    sources: dict[str, Region] = {}
    offset = 0
    for name in sorted(storage.spilled):
        plane = transfer_plane(lowered.tensors[name], config)
        if name == lowered.input:
            sources[name] = Region(name, 0, plane, scratch=False)
        elif name in read:
            tensor = lowered.tensors[name]
            row = 0
            if config.protect_activations:
                plane, row = tensor.pixels, tensor.width
                if beats(row, config.p_i) > MOST_ROW_BEATS:
                    raise HwgenError(f"rows of {row} words of {config.p_i} bytes in the scratch buffer", where=name,
                                     allowed=f"{16 * MOST_ROW_BEATS} bytes, where feature maps are protected")
            sources[name] = region = Region(name, offset, plane, scratch=True, row=row)
            # no two tensors share memory, so that every row has a place, and with it a nonce, of its own
            offset += word_planes(tensor, config) * region.stored_beats(plane, config.p_i)
    parents = {part: whole for whole, parts in lowered.joins.items() for part in parts}
    destinations: dict[str, list[Destination]] = {}
    for op in lowered.operations:
        if op.dst is None or root[op.dst] not in storage.spilled:
            continue
        found: list[Destination] = []
        block = block_of(op.dst, lowered)
        every = word_planes(lowered.tensors[op.dst], config)
        if root[op.dst] in sources:
            found.append(Destination(sources[root[op.dst]], block, every))
        name: str | None = op.dst
        while name is not None:
            if name in outputs.regions:
                region, planes = outputs.regions[name]
                first = block - block_of(name, lowered)
                found.append(Destination(region, first, min(every, planes - first)))
            name = parents.get(name)
        destinations[op.dst] = found
    return Scratch(sources, destinations, 16 * offset)


def spilled_bytes(items: Sequence[Item], config: AcceleratorConfig) -> int:
    """Bytes of feature maps that a frame writes to the scratch buffer and reads from it, tags included."""
    def moved(item: Load | Store) -> int:
        if item.region.row:
            return 16 * item.region.stored_beats(item.box.words, config.p_i)
        return item.box.words * config.p_i

    return sum(item.box.planes * moved(item) for item in items
               if isinstance(item, Load | Store) and item.region.scratch)


def _finished(lowered: Lowered) -> dict[str, int]:
    """Tensor -> the operation behind which it is complete."""
    out = {op.dst: index for index, op in enumerate(lowered.operations) if op.dst is not None}
    for whole, parts in lowered.joins.items():
        out[whole] = max(out[p] for p in parts)
    return out


def _output_layout(node: Node, tensor: Tensor, plane: int, offset: int, size: int) -> OutputLayout:
    scale: float | tuple[float, ...] = getattr(node, "scale", 1.0)
    if tensor.raw and isinstance(node, QConv2d):
        values = node.raw_scale
        scale = tuple(float(v) for v in values) if values is not None else (float(node.scale),) * tensor.layout.channels
    return OutputLayout(
        kind="raw" if tensor.raw else "int8", channels=tensor.layout.channels, height=tensor.height, width=tensor.width,
        shape=tuple(node.shape), p_i=tensor.layout.p_i, plane_stride=plane,
        parts=() if tensor.raw else tensor.layout.places(), scale=scale, offset=offset,
        bytes=size,
    )
