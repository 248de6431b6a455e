"""Quantises a TT kernel that the hardware contracts itself (``ReconstructedKernel``)."""

from __future__ import annotations

import numpy as np

from hwgen.ir.nodes import ContractionStep, ReconstructedKernel, Requantise, TTConv2d
from hwgen.ir.shapes import tt_kernel_shape
from hwgen.ir.tt_chain import dense_kernel
from hwgen.quantize.multiplier import not_below, shifts

_TINY = 1e-30
#: quantile of the rows that keep their finest scale; 0.3 ... 0.5 are equally good on trained networks
_BALANCE = 0.4


def output_first(node: TTConv2d) -> tuple[np.ndarray, list[np.ndarray]]:
    """The train turned round: ``first`` float64 [O, taps, r], then cores [r, taps, r'], the last one [r', taps, I].

    ``taps`` stands for the modes Kh, Kw in the one core that holds them, and for nothing in the others.
    """
    turned = [core.astype(np.float64).transpose(-1, *range(1, core.ndim - 1), 0) for core in node.cores[::-1]]
    first = np.moveaxis(turned[0][0], -2, 0)  # [(taps), O, r] -> [O, (taps), r]
    last = turned[-1][..., 0]  # [r', I, (taps)]
    return first, [*turned[1:-1], np.moveaxis(last, 1, -1)]


def _row_scales(first: np.ndarray, peaks: np.ndarray) -> np.ndarray:
    """Real value of one step per output channel: rounds both ``first`` [O, ...] and the final kernel well.

    The finest scale that fits a row of ``first`` would leave many rows of the kernel (of largest values ``peaks`` [O])
    with few of the 255 integers, because the last contraction has one scale for all rows. So the rows whose kernel is
    large in units of that scale take a coarser one.
    """
    finest = np.maximum(np.abs(first).reshape(len(first), -1).max(axis=1), _TINY) / 127
    share = peaks / finest
    return np.maximum(finest, peaks / max(float(np.quantile(share, _BALANCE)), _TINY))


def quantise_kernel(node: TTConv2d) -> tuple[ReconstructedKernel, np.ndarray]:
    """The integer train of a RECONSTRUCT layer, and the real value per step of the kernel's output channels [O].

    Every contraction is requantised per column; a column that is summed over in the next contraction may have a scale
    of its own (folded into the next core's rows), the columns of the last one share one scale. The rows keep a scale
    per output channel from ``first`` to the end, where the convolution's multipliers absorb it.

    Args:
        node: grouping I|HW|O, IHW|O or I|HWO.
    """
    first, cores = output_first(node)
    rank = first.shape[-1]
    gains = np.maximum(np.abs(first).reshape(-1, rank).max(axis=0), _TINY)
    first, cores[0] = first / gains, cores[0] * gains.reshape(-1, *[1] * (cores[0].ndim - 1))
    row_scale = _row_scales(first, np.abs(dense_kernel(node)).max(axis=(1, 2, 3)))
    scaled = first / row_scale.reshape(-1, *[1] * (first.ndim - 1))
    first_int = np.clip(np.rint(scaled), -127, 127).astype(np.int8)
    left_real = scaled.reshape(-1, rank)
    column_scale = np.ones(rank)
    steps: list[ContractionStep] = []
    for index, core in enumerate(cores):
        is_last = index == len(cores) - 1
        flat = (core.reshape(core.shape[0], -1)).astype(np.float64)
        product = left_real @ flat  # real value / row scale
        if is_last:
            target = np.full(flat.shape[1], max(float(np.abs(product).max()), _TINY) / 127)
            next_scale = target[:1]
        else:
            rank = core.shape[-1]
            next_scale = np.maximum(np.abs(product).reshape(-1, rank).max(axis=0), _TINY) / 127
            target = np.tile(next_scale, flat.shape[1] // rank)
        scaled = flat * column_scale[:, None]
        weight_scale = np.maximum(np.maximum(np.abs(scaled).max(axis=0), _TINY) / 127, target * 2.0**-24)
        ratio = weight_scale / target
        shift = shifts(ratio[None], node.name)
        multiplier = not_below(ratio, shift)
        weight_scale = multiplier * np.exp2(-shift) * target
        core_int = np.clip(np.rint(scaled / weight_scale), -127, 127).astype(np.int8)
        steps.append(ContractionStep(
            core=core_int.reshape(core.shape),
            requantise=Requantise(multiplier=multiplier, shift=shift, residual_multiplier=np.zeros_like(multiplier),
                                  lo=-127, hi=127),
        ))
        left_real = product.reshape(-1, core.shape[-1])
        column_scale = next_scale
    kernel = ReconstructedKernel(first=first_int, steps=tuple(steps), shape=tt_kernel_shape(node))
    return kernel, row_scale * column_scale[0]
