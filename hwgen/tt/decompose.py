"""TT-SVD of convolution kernels and the way back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from hwgen.errors import HwgenError
from hwgen.tt.form import MODES, TtForm, max_ranks


@dataclass(frozen=True)
class Decomposition:
    """Cores of a kernel and what the truncation lost.

    Args:
        cores: float64, core k of shape [r_k, modes of its group, r_(k+1)].
        grouping: one string of mode letters per core.
        relative_error: ``|W - contracted|_F / |W|_F`` (0 for a zero kernel).
    """

    cores: tuple[np.ndarray, ...]
    grouping: tuple[str, ...]
    relative_error: float

    @property
    def ranks(self) -> tuple[int, ...]:
        """Inner ranks."""
        return tuple(core.shape[-1] for core in self.cores[:-1])


def to_modes(kernel: np.ndarray) -> np.ndarray:
    """[O, I, Kh, Kw] -> [I, Kh, Kw, O]."""
    return kernel.transpose(1, 2, 3, 0)


def from_modes(tensor: np.ndarray) -> np.ndarray:
    """[I, Kh, Kw, O] -> [O, I, Kh, Kw]."""
    return tensor.transpose(3, 0, 1, 2)


def kernel_modes(kernel: np.ndarray) -> dict[str, int]:
    """Size of every mode letter of a kernel [O, I, Kh, Kw]."""
    return dict(zip(MODES, to_modes(kernel).shape, strict=True))


def contract(cores: Sequence[np.ndarray]) -> np.ndarray:
    """Dense kernel [O, I, Kh, Kw] of a train over (I, Kh, Kw, O), in the dtype of the cores."""
    product = cores[0]
    for core in cores[1:]:
        product = np.tensordot(product, core, axes=1)
    return from_modes(product[0, ..., 0])


def tt_svd(kernel: np.ndarray, form: TtForm) -> Decomposition:
    """Decompose ``kernel`` [O, I, Kh, Kw] by successive truncated SVDs (Oseledets 2011, algorithm 1).

    Ranks above what the kernel can have are cut to that. The singular values are shared evenly between the
    neighbours, so that no core dominates (training and quantisation both like that).

    Raises:
        HwgenError: the kernel is not four-dimensional or holds NaN or infinity.
    """
    if kernel.ndim != 4:
        raise HwgenError(f"TT-SVD needs a kernel of 4 dimensions, not {kernel.ndim}", allowed="[O, I, Kh, Kw]")
    if not np.isfinite(kernel).all():
        raise HwgenError("TT-SVD needs finite weights: the kernel holds NaN or infinity")
    modes = kernel_modes(kernel)
    limits = max_ranks(form.grouping, modes)
    ranks = [min(rank, limit) for rank, limit in zip(form.ranks, limits, strict=True)]
    rest = to_modes(kernel.astype(np.float64))
    norm = float(np.linalg.norm(rest))
    cores: list[np.ndarray] = []
    left_rank = 1
    lost = 0.0
    for group, wanted in zip(form.grouping[:-1], ranks, strict=True):
        sizes = [modes[letter] for letter in group]
        matrix = rest.reshape(left_rank * prod(sizes), -1)
        u, s, vt = np.linalg.svd(matrix, full_matrices=False)
        rank = min(wanted, len(s))
        lost += float(np.sum(s[rank:] ** 2))
        cores.append(u[:, :rank].reshape(left_rank, *sizes, rank))
        rest = s[:rank, None] * vt[:rank]
        left_rank = rank
    cores.append(rest.reshape(left_rank, *(modes[letter] for letter in form.grouping[-1]), 1))
    error = float(np.sqrt(lost)) / norm if norm > 0 else 0.0
    return Decomposition(even_norms(cores), form.grouping, error)


def even_norms(cores: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    """The same train with every inner index rescaled so that its slices in both neighbouring cores have one norm.

    Slice j of rank index k is column j of core k and row j of core k + 1. Three sweeps are enough for chains of four.
    The contracted kernel does not change.
    """
    result = [core.copy() for core in cores]
    for _ in range(3):
        for k in range(len(result) - 1):
            left, right = result[k], result[k + 1]
            left_norm = np.sqrt(np.sum(left.reshape(-1, left.shape[-1]) ** 2, axis=0))
            right_norm = np.sqrt(np.sum(right.reshape(right.shape[0], -1) ** 2, axis=1))
            alive = (left_norm > 0) & (right_norm > 0)
            scale = np.ones_like(left_norm)
            scale[alive] = np.sqrt(right_norm[alive] / left_norm[alive])
            result[k] = left * scale
            result[k + 1] = right / scale.reshape(-1, *([1] * (right.ndim - 1)))
    return tuple(result)
