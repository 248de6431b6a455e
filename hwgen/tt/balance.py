"""Preparing a train for int8: the same function with inner channels of one magnitude.

Between two cores any invertible matrix and its inverse may be inserted. Executed as a chain, the maps between the cores
are quantised per tensor and the following core per output channel, so both suffer when the inner channels differ in
magnitude. ``balance`` chooses the matrix that minimises the sum of both errors for Gaussian maps.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: Share of the largest eigenvalue below which directions of a covariance count as absent.
_FLOOR = 1e-10


def balance(cores: Sequence[np.ndarray], second_moments: Sequence[np.ndarray], seed: int = 0) -> tuple[np.ndarray, ...]:
    """Cores of the same kernel whose inner channels have, on the given data, near-equal power, and weights too.

    For maps ``t`` with second moment ``S = E[t t^T]`` that a following core ``B`` (rows = inner channels) reads, let
    ``S^(1/2) B = U diag(s) V^T``. In the basis ``t' = diag(s)^(1/2) U^T S^(-1/2) t`` the quantisation noise of map and
    core is least (it goes with the squared nuclear norm); a seeded random rotation then spreads it evenly over the
    channels, which also makes the values Gaussian and thus their peaks low.

    Args:
        cores: core k is [r_k, modes of its group, r_(k+1)].
        second_moments: one [r, r] matrix per inner rank, of the maps which the cores up to there give.
        seed: of the rotations.
    """
    result = [core.astype(np.float64) for core in cores]
    rng = np.random.default_rng(seed)
    for k, moment in enumerate(second_moments):
        rank = result[k].shape[-1]
        following = result[k + 1].reshape(rank, -1)
        values, vectors = np.linalg.eigh(moment.astype(np.float64))
        values = np.maximum(values, _FLOOR * max(float(values[-1]), np.finfo(np.float64).tiny))
        root = (vectors * np.sqrt(values)) @ vectors.T
        inverse_root = (vectors / np.sqrt(values)) @ vectors.T
        u, s, _ = np.linalg.svd(root @ following, full_matrices=False)
        if u.shape[1] < rank:  # the following core has fewer columns than rows: complete the basis
            u = np.linalg.qr(np.concatenate([u, rng.normal(size=(rank, rank - u.shape[1]))], axis=1))[0]
            s = np.append(s, np.zeros(rank - len(s)))
        s = np.maximum(s, 1e-3 * max(float(s[0]), np.finfo(np.float64).tiny))
        rotation = np.linalg.qr(rng.normal(size=(rank, rank)))[0]
        forth = rotation @ (np.sqrt(s)[:, None] * (u.T @ inverse_root))  # t' = forth @ t
        back = (root @ u / np.sqrt(s)) @ rotation.T  # t = back @ t'
        result[k] = result[k] @ forth.T
        result[k + 1] = np.tensordot(back.T, result[k + 1], axes=1)
    return _equal_norms(result)


def _equal_norms(cores: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    """One scalar per core, product 1, such that all cores have the same root mean square (fp16 likes that)."""
    sizes = [float(np.sqrt(np.mean(core**2))) for core in cores]
    if min(sizes) == 0:
        return tuple(cores)
    mean = float(np.exp(np.mean(np.log(sizes))))
    return tuple(core * (mean / size) for core, size in zip(cores, sizes, strict=True))
