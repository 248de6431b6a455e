"""Removes single ranks of tensor trains: the channels of the maps between their cores."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping

import numpy as np

from hwgen.errors import HwgenError
from hwgen.ir import nodes as ir
from hwgen.ir.nodes import Graph
from hwgen.ir.verify import Stage, verify
from hwgen.passes.rewrite import rebuild

Train = ir.TTConv2d | ir.TTLinear


def bond_name(layer: str, bond: int) -> str:
    """Name of the bond behind core ``bond`` of a train."""
    return f"{layer}:{bond}"


def bonds(graph: Graph) -> dict[str, int]:
    """Every bond of every train with its rank, by ``bond_name``."""
    return {bond_name(node.name, k): core.shape[-1] for node in graph.nodes if isinstance(node, Train)
            for k, core in enumerate(node.cores[:-1])}


def remove_ranks(graph: Graph, removed: Mapping[str, Collection[int]]) -> Graph:
    """The float graph without the given ranks of the named bonds: slices of the cores on both sides.

    Raises:
        HwgenError: no such bond or rank, or nothing of a bond would be left.
    """
    known = bonds(graph)
    for name, ranks in removed.items():
        if name not in known:
            raise HwgenError(f"no bond {name!r}", where="prune", allowed=", ".join(known) or "no tensor trains here")
        if any(not 0 <= rank < known[name] for rank in ranks) or len(set(ranks)) >= known[name]:
            raise HwgenError(f"cannot remove ranks {sorted(ranks)}", where=name,
                             allowed=f"some of 0..{known[name] - 1}")
    nodes = []
    for node in graph.nodes:
        if isinstance(node, Train):
            cores = list(node.cores)
            for k in range(len(cores) - 1):
                gone = removed.get(bond_name(node.name, k))
                if gone:
                    kept = np.setdiff1d(np.arange(cores[k].shape[-1]), sorted(gone))
                    cores[k] = np.ascontiguousarray(cores[k][..., kept])
                    cores[k + 1] = np.ascontiguousarray(cores[k + 1][kept])
            node = dataclasses.replace(node, cores=tuple(cores))  # noqa: PLW2901 - the node in its place
        nodes.append(node)
    return verify(rebuild(graph, nodes), Stage.FLOAT)
