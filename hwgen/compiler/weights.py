"""Bytes of the weight stream: requantisation records and weight tiles in the order in which the engine reads them."""

from __future__ import annotations

import numpy as np

from hwgen.compiler.emit import Batch
from hwgen.compiler.operations import ContractOp, ConvOp, Operation, Records, WindowOp
from hwgen.config.accelerator import AcceleratorConfig

_RECORD = np.dtype([("bias", "<i4"), ("multiplier", "<u2"), ("residual", "<u2"), ("shift", "u1"), ("zero", "V7")])


def batch_stream(batch: Batch, op: Operation, config: AcceleratorConfig) -> bytes:
    """Records and tiles of all output blocks of a batch."""
    if isinstance(op, WindowOp):
        return _window_stream(batch, op, config)
    lanes = batch.blocks * batch.columns
    records = _records(op.records, batch.first_lane, lanes)
    size = batch.columns * _RECORD.itemsize
    blocks = [records[b * size:(b + 1) * size] for b in range(batch.blocks)]
    if batch.tiles and batch.window is not None:
        assert isinstance(op, ConvOp | ContractOp)
        weight = op.weight if op.weight.ndim == 4 else op.weight[:, :, None, None]
        p_i = config.p_i
        for b in range(batch.blocks):
            first_in = batch.window.base + b * batch.window.step
            first_out = batch.first_lane + b * batch.columns
            block = weight[first_out:first_out + batch.columns, first_in * p_i:(first_in + batch.window.count) * p_i]
            if block.shape[0] < batch.columns:
                block = np.pad(block, ((0, batch.columns - block.shape[0]), (0, 0), (0, 0), (0, 0)))
            tiles = block.reshape(batch.columns, batch.window.count, p_i, *weight.shape[2:])
            blocks[b] += np.ascontiguousarray(tiles.transpose(1, 3, 4, 0, 2)).tobytes()
    return b"".join(blocks)


def _window_stream(batch: Batch, op: WindowOp, config: AcceleratorConfig) -> bytes:
    """Of every channel block: records, then all taps of the window, each in whole lines."""
    line, size = config.line_bytes, config.window_kernel
    out = []
    for block in range(batch.blocks):
        first = batch.first_lane + block * config.p_i
        taps = np.zeros((size, size, config.p_i), np.int8)
        kernel = op.weight[first:first + config.p_i].transpose(1, 2, 0)
        taps[:kernel.shape[0], :kernel.shape[1]] = kernel
        for part in (_records(op.records, first, config.p_i), taps.tobytes()):
            out.append(part.ljust(-(-len(part) // line) * line, b"\0"))
    return b"".join(out)


def _records(records: Records, first: int, lanes: int) -> bytes:
    """Records of lanes [first, first+lanes); lanes behind the last give 0."""
    out = np.zeros(lanes, _RECORD)
    out["shift"] = 1
    used = max(0, min(lanes, len(records.bias) - first))
    part = slice(first, first + used)
    out["bias"][:used] = records.bias[part]
    out["multiplier"][:used] = records.multiplier[part]
    out["residual"][:used] = records.residual[part]
    out["shift"][:used] = records.shift[part]
    return out.tobytes()
