"""From a quantised graph to the stages that it needs, each as small as can be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hwgen.compiler.lower import spatial
from hwgen.config.pipeline import INPUT, StageConfig, StageKind
from hwgen.errors import HwgenError
from hwgen.ir import nodes as ir
from hwgen.ir.nodes import Graph, Node, Padding, Pair
from hwgen.stream.tiles import TiledAxis, TiledWindow

HINT = "--style engine builds an accelerator that runs every network"


#: what a graph tensor is in the pipeline: the stage that makes it, and its tile
_Source = tuple[str, Pair]


def stages_of(graph: Graph, tile: Pair = (1, 1)) -> tuple[StageConfig, ...]:
    """A stage per node that computes something, with one multiplier each.

    Args:
        tile: pixels of the input that come at a time (``hwgen.stream.tiles``).

    Raises:
        HwgenError: names the node that no stage can do, or whose map does not fall into such tiles.
    """
    sources: dict[str, _Source] = {}
    found = []
    for node in graph.nodes:
        if isinstance(node, ir.QInput):
            sources[node.name] = INPUT, tile
        elif isinstance(node, ir.QFlatten):
            if spatial(graph[node.inputs[0]].shape, node.name)[1:] != (1, 1):
                raise HwgenError("a map that is flattened for a node that is no convolution", where=node.name,
                                 hint=HINT)
            sources[node.name] = sources[node.inputs[0]]
        else:
            found.append(_stage(graph, node, sources))
            sources[node.name] = node.name, found[-1].out_tile
    if not found or not found[-1].raw or found[-1].name != sources[graph.output][0]:
        raise HwgenError("does not end in a convolution whose sums leave the accelerator", where=graph.output)
    for stage in found[:-1]:
        if stage.raw:
            raise HwgenError("its sums leave unrequantised, but it is not the last node", where=stage.name)
    return tuple(found)


def _stage(graph: Graph, node: Node, sources: dict[str, _Source]) -> StageConfig:
    """The stage of a node."""
    channels, height, width = spatial(graph[node.inputs[0]].shape, node.name)
    out_channels, out_height, out_width = spatial(node.shape, node.name)
    rule, raw, residual = getattr(node, "requantise", None), False, ""
    source, tile = sources[node.inputs[0]]
    if isinstance(node, ir.QConv2d):
        if node.dilation != (1, 1):
            raise HwgenError(f"dilation {node.dilation}", where=node.name, allowed="1 in a streaming pipeline",
                             hint=HINT)
        if isinstance(node.weight, ir.ReconstructedKernel):
            raise HwgenError("a kernel that is contracted on the chip", where=node.name,
                             allowed="in a streaming pipeline: tensor trains as chains", hint=HINT)
        depthwise = node.groups == channels == out_channels and node.groups > 1 and rule is not None
        kind, raw = StageKind.DEPTHWISE if depthwise else StageKind.DENSE, rule is None
        residual = node.inputs[1] if node.inputs[1:] else ""
    elif isinstance(node, ir.QMaxPool | ir.QAvgPool):
        kind = StageKind.MAXIMUM if isinstance(node, ir.QMaxPool) else StageKind.SUM
    elif isinstance(node, ir.QAdd):
        kind, residual = StageKind.SUM, node.inputs[1]
    else:
        raise HwgenError(f"a {node.op}, which a streaming pipeline has no stage for", where=node.name, hint=HINT)
    kernel, stride, padding = window_of(node)
    whole = (height, width) != (1, 1) and kernel == (height, width) and not any(padding)
    stage = StageConfig(
        name=node.name, kind=kind, source=source, residual=sources[residual][0] if residual else "", channels=channels,
        height=height, width=width, out_channels=out_channels, out_height=out_height, out_width=out_width,
        kernel=kernel, stride=(1, 1) if whole else stride, padding=padding, whole=whole, raw=raw,
        residual_queue=4 if residual else 0)
    stage = in_tiles(stage, tile)
    if residual and sources[residual][1] != stage.out_tile:
        other, mine = (f"{rows} x {columns}" for rows, columns in (sources[residual][1], stage.out_tile))
        raise HwgenError(f"adds a map in tiles of {other} to one in tiles of {mine}", where=node.name)
    return stage


def window_of(node: Node) -> tuple[Pair, Pair, Padding]:
    """Kernel, stride and padding of a node, in pixels."""
    if isinstance(node, ir.QConv2d):
        return (node.weight.shape[2], node.weight.shape[3]), node.stride, node.padding
    if isinstance(node, ir.QMaxPool | ir.QAvgPool):
        return node.kernel, node.stride, node.padding
    return (1, 1), (1, 1), (0, 0, 0, 0)


def in_tiles(stage: StageConfig, tile: Pair) -> StageConfig:
    """``stage``, made for single pixels, for a source in tiles; HwgenError if a map does not fall into them."""
    if tile == (1, 1):
        return stage
    window = TiledWindow.of(tile, stage.kernel, stage.stride, stage.padding)
    out_tile, rows, columns = window.out_tile, window.rows, window.columns
    if stage.whole or (stage.raw and out_tile != (1, 1)):
        raise HwgenError(f"cannot take tiles of {tile[0]} x {tile[1]} pixels", where=stage.name)
    # what fills up the last tiles of the input is zero, as padding is; inside the network it would be anything
    filled = stage.source == INPUT and stage.kind.weighted
    for what, sizes, tiles in (("input", (stage.height, stage.width), (1, 1) if filled else tile),
                               ("result", (stage.out_height, stage.out_width), out_tile)):
        if any(size % one for size, one in zip(sizes, tiles, strict=True)):
            raise HwgenError(f"its {what} of {sizes[0]} x {sizes[1]} pixels does not fall into tiles of "
                             f"{tiles[0]} x {tiles[1]}", where=stage.name)
    height, width = -(-stage.height // tile[0]), -(-stage.width // tile[1])
    out_height, out_width = stage.out_height // out_tile[0], stage.out_width // out_tile[1]
    places = window.places() if stage.kind.per_channel else (window.used(),)
    return stage.replace(
        tile=tile, out_tile=out_tile, places=places, channels=stage.channels * tile[0] * tile[1], height=height,
        width=width, out_channels=stage.out_channels * out_tile[0] * out_tile[1], out_height=out_height,
        out_width=out_width, kernel=(rows.size, columns.size), stride=(rows.step, columns.step),
        padding=(rows.front, _behind(rows, height, out_height), columns.front, _behind(columns, width, out_width)))


def _behind(axis: TiledAxis, size: int, out: int) -> int:
    """Tiles of padding behind a map."""
    return max(0, (out - 1) * axis.step - axis.front + axis.size - size)


def dense_weight(node: ir.QConv2d) -> np.ndarray:
    """int8 [O, I, Kh, Kw]: groups, which a stage does not know, spelled out with zeros."""
    weight = node.weight
    assert isinstance(weight, np.ndarray)
    if node.groups == 1:
        return weight
    out, inner = weight.shape[:2]
    full = np.zeros((out, inner * node.groups, *weight.shape[2:]), np.int8)
    for channel in range(out):
        group = channel // (out // node.groups)
        full[channel, group * inner:(group + 1) * inner] = weight[channel]
    return full


def folded(stage: StageConfig, pe: int, simd: int) -> StageConfig:
    """``stage`` with ``pe`` x ``simd`` values a step, and the fewest requantisation lanes that keep up."""
    trial = replace(stage, pe=pe, simd=simd, lanes=pe)
    lanes = next(n for n in range(1, pe + 1) if pe % n == 0 and pe // n <= trial.slices)
    return replace(trial, lanes=lanes)
