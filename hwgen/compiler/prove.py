"""Bounds of every accumulator from the actual weights; nothing may overflow the configured width."""

from __future__ import annotations

import numpy as np

from hwgen.compiler.operations import ContractOp, ConvOp, Lowered, Records, WindowOp
from hwgen.config.accelerator import AcceleratorConfig
from hwgen.errors import HwgenError

#: width of the pooling unit's sums
POOL_BITS = 20


def prove_widths(lowered: Lowered, config: AcceleratorConfig) -> int:
    """Check every operation; returns the accumulator bits that the network needs.

    Raises:
        HwgenError: names the node, the bits needed and those available; or a record outside its field.
    """
    ranges: dict[str, int] = {lowered.input: 128}  # largest magnitude of every tensor
    for kernel in lowered.kernels.values():
        ranges[kernel.first] = 128
    parents = {part: whole for whole, parts in lowered.joins.items() for part in parts}
    needed = 0
    for op in lowered.operations:
        _check_records(op.records, op.node)
        largest = ranges[op.src]
        if isinstance(op, WindowOp) and op.maximum:
            bits, bound, limit = 8, 128, config.acc_bits
        elif isinstance(op, ConvOp | ContractOp | WindowOp):
            weight = op.weight.reshape(op.weight.shape[0], -1)
            total = _row_sums(weight)
            bound = int((total * largest + np.abs(op.records.bias)).max())
            bits = bound.bit_length() + 1
            limit = config.acc_bits
        else:
            bound = op.kernel[0] * op.kernel[1] * largest if not op.maximum else largest
            bits = (bound - 1).bit_length() + 1
            limit = min(config.acc_bits, POOL_BITS)
        needed = max(needed, bits)
        if bits > limit:
            raise HwgenError(f"sums up to {bound} need {bits} bits, the engine has {limit}", where=op.node,
                             hint="a configuration with larger acc_bits")
        if op.dst is not None:
            reach = max(abs(op.records.lo), abs(op.records.hi))
            ranges[op.dst] = reach
            name = op.dst
            while name in parents:
                name = parents[name]
                ranges[name] = max(ranges.get(name, 0), reach)
    return needed


def _row_sums(weight: np.ndarray) -> np.ndarray:
    """int64 [rows]: sum of magnitudes of an int8 matrix."""
    return np.abs(weight.astype(np.int16)).sum(axis=1, dtype=np.int64)


def _check_records(records: Records, where: str) -> None:
    checks = (("bias", records.bias, -(1 << 31), (1 << 31) - 1), ("multiplier", records.multiplier, 0, 65535),
              ("residual multiplier", records.residual, 0, 65535))
    for name, values, low, high in checks:
        if values.min(initial=low) < low or values.max(initial=low) > high:
            raise HwgenError(f"{name} outside {low}..{high}", where=where)
    if not -128 <= records.lo <= records.hi <= 127:
        raise HwgenError(f"clamp bounds {records.lo}, {records.hi}", where=where, allowed="-128 <= lo <= hi <= 127")
    if np.any((records.shift < 1) & (records.multiplier > 0)) or records.shift.max() > 47:
        raise HwgenError("shift outside 1..47", where=where)
