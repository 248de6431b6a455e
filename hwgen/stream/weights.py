"""A stage's weights and records as lines of the weight stream."""

from __future__ import annotations

import numpy as np

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.config.pipeline import StageConfig, StageKind
from hwgen.ir import nodes as ir
from hwgen.ir.nodes import Node
from hwgen.stream.layout import RECORD_BYTES, StageLines, rows, stage_packing, weight_columns
from hwgen.stream.shapes import dense_weight, window_of
from hwgen.stream.tiles import TiledWindow


def stage_stream(node: Node, stage: StageConfig, lines: StageLines, config: AcceleratorConfig) -> bytes:
    """All lines of a stage."""
    parts = []
    if lines.weight_chunks:
        assert isinstance(node, ir.QConv2d)
        parts.append(_cut(_weight_words(node, stage, config), lines.weight_chunks, config.line_bytes))
    if lines.record_chunks:
        parts.append(_cut(_record_words(node, stage), lines.record_chunks, config.line_bytes))
    return b"".join(parts)


def _cut(words: np.ndarray, chunks: int, line: int) -> bytes:
    """uint8 [words, bytes] -> lines: the first line of every word, then the second ones."""
    padded = np.zeros((len(words), chunks * line), np.uint8)
    padded[:, :words.shape[1]] = words
    return np.ascontiguousarray(padded.reshape(len(words), chunks, line).transpose(1, 0, 2)).tobytes()


def _weight_words(node: ir.QConv2d, stage: StageConfig, config: AcceleratorConfig) -> np.ndarray:
    """uint8 [depth, simd * columns] in the order of the steps."""
    columns, simd = weight_columns(stage, config.packing), stage.simd
    order = [row.number for row in rows(simd, stage_packing(stage, config.packing))]
    values = _values(node, stage)
    out = values.shape[1]
    padded = np.zeros((values.shape[0], stage.blocks * stage.pe, stage.slices * simd), np.int8)
    padded[:, :out, :values.shape[2]] = values
    # [pixel, block, channel of it, slice, row] -> [pixel, block, slice, row, channel]
    steps = padded.reshape(-1, stage.blocks, stage.pe, stage.slices, simd).transpose(0, 1, 3, 4, 2)
    words = np.zeros((stage.depth, simd, columns), np.int8)
    words[:, :, :stage.pe] = steps.reshape(stage.depth, simd, stage.pe)[:, order]
    return words.reshape(stage.depth, -1).view(np.uint8)


def _values(node: ir.QConv2d, stage: StageConfig) -> np.ndarray:
    """int8 [windows of an output, output channels, values of a window]."""
    depthwise = stage.kind is StageKind.DEPTHWISE
    weight = np.asarray(node.weight) if depthwise else dense_weight(node)
    if stage.whole:  # pixels in the order of their arrival, each a window of its own
        return weight.transpose(2, 3, 0, 1).reshape(stage.pixels_per_output, len(weight), -1)
    window = TiledWindow.of(stage.tile, *window_of(node))
    return (window.channel_values(weight) if depthwise else window.dense_values(weight))[None]


def _record_words(node: Node, stage: StageConfig) -> np.ndarray:
    """uint8 [blocks * groups, lanes * RECORD_BYTES]; channels behind the last one have bias = M = R = 0, S = 1."""
    channels = stage.blocks * stage.pe
    records = np.zeros((channels, RECORD_BYTES), np.uint8)
    records[:, 8] = 1
    rule = getattr(node, "requantise", None)
    out, results = stage.out_channels, stage.out_tile[0] * stage.out_tile[1]

    def put(at: int, values: np.ndarray, dtype: str) -> None:
        """A field of all channels; pixels of a tile share their channel's."""
        data = np.tile(values.astype(dtype), results).view(np.uint8).reshape(out, -1)
        records[:out, at:at + data.shape[1]] = data

    if isinstance(node, ir.QConv2d):
        put(0, node.bias, "<i4")
    if rule is not None:
        put(4, rule.multiplier, "<u2")
        put(6, rule.residual_multiplier, "<u2")
        put(8, rule.shift, "<u1")
        records[:out, 9], records[:out, 10] = rule.lo & 0xFF, rule.hi & 0xFF
    return records.reshape(stage.blocks * stage.groups, stage.lanes * RECORD_BYTES)
