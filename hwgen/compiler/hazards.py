"""The DRAIN flag: which descriptors would read a word whose result may still be in the pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hwgen.compiler.descriptor import Descriptor
from hwgen.config.accelerator import AcceleratorConfig
from hwgen.isa.layout import ComputeFlag

_LONG_AGO = -(1 << 60)


def grid(counts: Sequence[int], strides: Sequence[int]) -> np.ndarray:
    """Sum of loop indices times strides in issue order (first loop fastest), int64 [product of counts]."""
    total = np.zeros(1, np.int64)
    for count, stride in zip(counts, strides, strict=True):
        total = (total + np.arange(count, dtype=np.int64)[:, None] * stride).reshape(-1)
    return total


def mark_drains(descriptors: Sequence[Descriptor], config: AcceleratorConfig, latency: int) -> list[Descriptor]:
    """The descriptors with DRAIN where it cannot be proven unnecessary.

    A read may follow the write of its word by fewer than ``latency`` issue slots only behind a DRAIN. Slots are a lower
    bound of cycles: the engine issues at most one per cycle, in order, and stalls only add. Between a convolution and a
    pool the pipeline always drains, because their results take different numbers of cycles and must not overtake.
    Descriptors of the window unit are passed over: what orders the units are waits, for results that have landed.
    """
    written = np.full(2 * config.act_stride, _LONG_AGO, np.int64)  # issue slot of the last write of each word
    now = 0
    out = []
    pool_before: bool | None = None
    for d in descriptors:
        if d.window:
            out.append(d)
            continue
        turns = pool_before is not None and d.pool != pool_before
        pool_before = d.pool
        if turns or _meets(d, written, now, latency, config):
            written[:] = _LONG_AGO
            out.append(replace(d, flags=d.flags | {ComputeFlag.DRAIN}))
        else:
            out.append(d)
        _write(d, written, now, config)
        now += d.slots
    return out


def _meets(d: Descriptor, written: np.ndarray, now: int, latency: int, config: AcceleratorConfig) -> bool:
    recent = np.flatnonzero(written > now - latency)
    if recent.size == 0:
        return False
    reads = _reads(d, latency, config)
    return any(bool(np.any(now + slots - written[address] < latency)) for slots, address in reads)


def _reads(d: Descriptor, latency: int, config: AcceleratorConfig) -> list[tuple[np.ndarray, np.ndarray]]:
    """(slots since the descriptor's start, addresses) of the reads in the first ``latency`` slots, in the map only."""
    counts = _prefix(d.counts, latency)
    slots = np.arange(int(np.prod(counts)))
    src = d.src_base + grid(counts, d.src_strides)
    iy, ix = d.iy_base + grid(counts, d.iy_strides), d.ix_base + grid(counts, d.ix_strides)
    rows = (iy >= 0) & (iy < d.height)
    inside = rows & (ix >= 0) & (ix < d.width)
    reads = [(slots[inside], src[inside])]
    if d.pool and config.pair_mode:
        reads.append((slots[inside], np.minimum(src[inside] + d.src_plane, 2 * config.act_stride - 1)))
    if ComputeFlag.PAIR in d.flags:
        inside = rows & (ix + 1 >= 0) & (ix + 1 < d.width)
        reads.append((slots[inside], src[inside] + 1))
    if ComputeFlag.RESIDUAL in d.flags:
        slots, address = _emitted(d, d.res)
        near = slots < latency
        for second in (0, d.res[4]):
            reads.append((slots[near], np.minimum(address[near] + second, 2 * config.act_stride - 1)))
    return reads


def _prefix(counts: Sequence[int], limit: int) -> list[int]:
    """Loop counts cut so that at least the first ``limit`` slots remain, in the same order."""
    out, inner = [], 1
    for count in counts:
        out.append(max(1, min(count, -(-limit // inner))))
        inner *= out[-1]
    return out


def _emitted(d: Descriptor, place: tuple[int, int, int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """(slot since the descriptor's start, address of the first word) of every emitted pixel."""
    base, *strides, _ = place
    x = d.x_loop
    shape = (d.counts[x], d.counts[x + 1], d.blocks)
    address = base + grid(shape, strides)
    per_block = d.slots // d.blocks
    pixels = shape[0] * shape[1]
    if d.pool:
        window = d.counts[0] * d.counts[1]
        inside = np.arange(1, pixels + 1) * window - 1
    else:
        inside = per_block - pixels + np.arange(pixels)
    return (np.arange(d.blocks)[:, None] * per_block + inside).reshape(-1), address


def _write(d: Descriptor, written: np.ndarray, now: int, config: AcceleratorConfig) -> None:
    if ComputeFlag.TO_WEIGHTS in d.flags:
        return
    slots, address = _emitted(d, d.dst)
    words = 1
    if ComputeFlag.RAW in d.flags:
        words = 4 * (config.p_o // config.p_i)
    elif config.pair_mode:
        words = 2
    for word in range(words):
        last_block = slots >= d.slots - d.slots // d.blocks
        keep = np.ones(len(slots), bool)
        if word == 1 and words == 2 and ComputeFlag.PAIR not in d.flags and not d.last_words:
            keep = ~last_block
        target = address[keep] + word * d.dst[4]  # no address twice: an overhanging pixel is a second word
        written[target] = np.maximum(written[target], now + slots[keep])
