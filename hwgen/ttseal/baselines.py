"""The sets that a selection has to beat: random, first and last layers, largest norm (SEAL, DAC'21)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hwgen.ttseal.units import Unit, bytes_of


def fill(order: Sequence[Unit], size: int) -> frozenset[str]:
    """Units in ``order`` until at least ``size`` bytes are taken.

    A unit that would go beyond is skipped as long as later ones fit; what is then still missing is filled with the
    smallest unit that suffices, so the baseline never has fewer bytes than it is compared with (unless all are taken).
    """
    taken: list[Unit] = []
    left = size
    for unit in order:
        if unit.bytes <= left:
            taken.append(unit)
            left -= unit.bytes
    if left > 0:
        rest = [u for u in order if u not in taken]
        enough = [u for u in rest if u.bytes >= left]
        if enough:
            taken.append(min(enough, key=lambda u: u.bytes))
    return frozenset(u.node for u in taken)


def random_set(units: Sequence[Unit], size: int, seed: int) -> frozenset[str]:
    """Units in random order, at least ``size`` bytes."""
    order = np.random.default_rng(seed).permutation(len(units))
    return fill([units[i] for i in order], size)


def first_last(units: Sequence[Unit], size: int) -> frozenset[str]:
    """Whole layers from both ends inwards (first, last, second, last but one, ...), at least ``size`` bytes.

    First and last layer are always taken, whatever they weigh.
    """
    layers = list(dict.fromkeys(u.layer for u in units))
    order = [layers[i // 2] if i % 2 == 0 else layers[-1 - i // 2] for i in range(len(layers))]
    nodes: set[str] = set()
    for position, layer in enumerate(order):
        if position >= 2 and bytes_of(units, nodes) >= size:
            break
        nodes |= {u.node for u in units if u.layer == layer}
    return frozenset(nodes)


def largest_norm(units: Sequence[Unit], norms: Mapping[str, float], size: int) -> frozenset[str]:
    """Kernels by l1 norm per weight, largest first, at least ``size`` bytes.

    SEAL (DAC'21) ranks kernel rows by their l1 norm and encrypts the largest; here the unit is the core or kernel, and
    the norm is divided by the number of its weights so that size alone does not decide.

    Args:
        norms: l1 norm of every unit, by node.
    """
    def rank(unit: Unit) -> tuple[float, str]:
        return -norms[unit.node] / float(np.prod(unit.shape)), unit.node

    return fill(sorted(units, key=rank), size)
