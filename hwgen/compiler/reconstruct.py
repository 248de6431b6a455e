"""On-chip reconstruction: a ``ReconstructedKernel`` as matrix products whose last one writes weight memory."""

from __future__ import annotations

from math import prod

import numpy as np

from hwgen.compiler.channels import ChannelLayout
from hwgen.compiler.operations import ContractOp, Kernel, Records, Tensor
from hwgen.errors import HwgenError
from hwgen.ir.nodes import QConv2d, ReconstructedKernel, Requantise


def contract_offline(kernel: ReconstructedKernel) -> np.ndarray:
    """int8 [O, I, Kh, Kw]: the kernel which the hardware will contract."""
    out, channels, kernel_h, kernel_w = kernel.shape
    running = np.asarray(kernel.first, np.int64).reshape(-1, kernel.first.shape[-1])
    for step in kernel.steps:
        matrix = step.core.reshape(step.core.shape[0], -1).astype(np.float64)
        q = step.requantise
        product = (running.astype(np.float64) @ matrix).astype(np.int64)  # far below 2^53: exact
        total = product * q.multiplier + (np.int64(1) << (q.shift - 1))
        running = np.clip(total >> q.shift, q.lo, q.hi).reshape(-1, step.core.shape[-1])
    return running.reshape(out, kernel_h, kernel_w, channels).transpose(0, 3, 1, 2).astype(np.int8)


def lower_kernel(
    node: QConv2d, kernel: ReconstructedKernel, *, src: ChannelLayout, dst: ChannelLayout, columns: int
) -> tuple[Kernel, tuple[Tensor, ...], tuple[ContractOp, ...]]:
    """Kernel description, the tensors of its intermediate products, and the contractions in order.

    Args:
        src, dst: channel layouts of the consuming convolution's input and output: the kernel is built in lane order.
        columns: output columns of a tile of the consumer.

    Raises:
        HwgenError: the last core runs over taps although earlier ones do so too, or not over all of them.
    """
    p_i = src.p_i
    out, channels, kernel_h, kernel_w = kernel.shape
    taps = kernel_h * kernel_w
    blocks = -(-dst.lanes // columns)
    rows = blocks * columns
    first = kernel.first.reshape(out, -1, kernel.first.shape[-1])
    outer, rank_lanes = first.shape[1], _round_up(first.shape[2], p_i)
    data = np.zeros((outer, rank_lanes, rows), np.int8)
    data[:, :first.shape[2], dst.lane_of()] = first.transpose(1, 2, 0)
    name = f"{node.name}.kernel"
    layout = ChannelLayout.plain(outer * rank_lanes, p_i)
    tensors = [Tensor(name=f"{name}.first", layout=layout, height=1, width=rows)]
    operations: list[ContractOp] = []
    for position, step in enumerate(kernel.steps):
        last = position == len(kernel.steps) - 1
        rank, *modes, columns_out = step.core.shape
        matrix = np.asarray(step.core, np.int8).reshape(rank, -1)
        width = prod(modes)
        if last and (columns_out != channels or width not in (1, taps) or outer * width != taps):
            raise HwgenError(
                f"last core of shape {step.core.shape} of a {kernel.shape} kernel", where=node.name,
                allowed="[rank, I], or [rank, Kh, Kw, I] as the only one with taps",
            )
        if last:  # lanes ordered (input block, tap, lane) so that tiles come out in stream order
            lane = src.lane_of()
            place = np.concatenate([((lane // p_i) * width + m) * p_i + lane % p_i for m in range(width)])
            lanes = src.lanes * width
        else:
            stride = _round_up(columns_out, p_i)
            place = np.concatenate([m * stride + np.arange(columns_out) for m in range(width)])
            lanes = stride * width
        weight = np.zeros((lanes, rank_lanes), np.int8)
        weight[place, :rank] = matrix.T
        result = None
        if not last:
            result = f"{name}.product{position}"
            layout = ChannelLayout.plain(outer * lanes, p_i)
            tensors.append(Tensor(name=result, layout=layout, height=1, width=rows))
        operations.append(ContractOp(
            node=node.name, kernel=name, src=tensors[position].name, dst=result, weight=weight,
            records=_records(step.requantise, place, lanes), rows=rows, outer=outer, rank_blocks=rank_lanes // p_i,
            modes=width,
        ))
        outer *= width
        rank_lanes = _round_up(columns_out, p_i)
    described = Kernel(name=name, first=tensors[0].name, data=data.reshape(-1, rows), columns=columns, blocks=blocks,
                       input_blocks=src.blocks, taps=taps)
    return described, tuple(tensors), tuple(operations)


def _round_up(value: int, step: int) -> int:
    return -(-value // step) * step


def _records(q: Requantise, place: np.ndarray, lanes: int) -> Records:
    def spread(values: np.ndarray, empty: int = 0) -> np.ndarray:
        out = np.full(lanes, empty, np.int64)
        out[place] = values
        return out

    zeros = np.zeros(lanes, np.int64)
    return Records(bias=zeros, multiplier=spread(q.multiplier), residual=zeros, shift=spread(q.shift, 1), lo=q.lo,
                   hi=q.hi)
