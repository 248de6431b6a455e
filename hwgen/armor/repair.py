"""GRAIL: repair after structured pruning without labels and without training.

With the maps H [I, pixels] that a layer read before pruning and those that it keeps, H_r, ridge regression finds B in
``H ~ B H_r`` from their Gram matrix alone; B is multiplied into the layer's weights, so that it computes from the kept
channels what it computed from all, as far as a linear function can.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping

import numpy as np
import torch
from torch import Tensor

from hwgen.armor.groups import shrink
from hwgen.armor.trace import trace
from hwgen.ir import nodes as ir
from hwgen.ir.nodes import Graph, Node
from hwgen.passes.prune_branches import branches
from hwgen.passes.prune_channels import kept_masks
from hwgen.passes.prune_ranks import bond_name, bonds
from hwgen.passes.rewrite import rebuild
from hwgen.train.graph_module import GraphModule

#: weight of the ridge, in shares of the mean of the Gram matrix's diagonal
RIDGE = 1e-3


@torch.no_grad()
def gram_matrices(graph: Graph, batches: Iterable[Tensor], wanted: Collection[str]) -> dict[str, np.ndarray]:
    """Mean of h h^T over images and pixels, float64 [C, C], of what the named layers (or cores behind bonds) read."""
    module, sums, counts = GraphModule(graph), {}, dict.fromkeys(wanted, 0)

    def visit(name: str, value: Tensor) -> None:
        if name in counts:
            flat = value.movedim(1, 0).flatten(1).double()
            sums[name] = sums.get(name, 0) + (flat @ flat.T).numpy()
            counts[name] += flat.shape[1]

    for batch in batches:
        trace(module, batch, visit=visit)
    return {name: total / counts[name] for name, total in sums.items()}


def reconstruction(gram: np.ndarray, kept: np.ndarray, ridge: float = RIDGE) -> np.ndarray:
    """B [C, kept] with ``h ~ B h_kept``.

    Args:
        gram: [C, C]; kept: bool [C].
    """
    inside = gram[np.ix_(kept, kept)]
    damped = inside + ridge * max(float(np.trace(gram)) / len(gram), 1e-12) * np.eye(len(inside))
    return np.linalg.solve(damped, gram[np.ix_(kept, np.ones(len(gram), bool))]).T


def shrink_and_repair(
    graph: Graph, removed: Mapping[str, Collection[int]], batches: Iterable[Tensor], ridge: float = RIDGE,
) -> Graph:
    """``hwgen.armor.groups.shrink``, and the layers that lost inputs repaired (behind a branch that goes nothing is).

    Args:
        batches: normalised images [N, C, H, W]; no labels are needed.
    """
    known, gone = bonds(graph), removed.keys() & branches(graph).keys()
    if gone:
        rest = {name: units for name, units in removed.items() if name not in gone}
        return shrink(shrink_and_repair(graph, rest, batches, ridge) if rest else graph, {name: (0,) for name in gone})
    masks = kept_masks(graph, {name: units for name, units in removed.items() if name not in known})
    inner = {name: np.ones(rank, bool) for name, rank in known.items()}
    for name in set(removed) & set(known):
        inner[name][list(removed[name])] = False
    lost = {name: mask for name, (mask, _) in masks.items()} | inner
    lost = {name: mask for name, mask in lost.items() if not mask.all()}
    grams = gram_matrices(graph, batches, lost)
    changes = {name: reconstruction(grams[name], mask, ridge) for name, mask in lost.items()}
    smaller = shrink(graph, removed)
    return rebuild(smaller, [_repaired(node, graph, masks, inner, changes) for node in smaller.nodes])


def _repaired(node: Node, graph: Graph, masks: Mapping[str, tuple[np.ndarray, np.ndarray]],
              inner: Mapping[str, np.ndarray], changes: Mapping[str, np.ndarray]) -> Node:
    """``node`` (pruned) with the weights that it had on the inputs that are gone moved to those that are left."""
    before = graph[node.name]
    if isinstance(before, ir.Conv2d | ir.Linear) and node.name in changes:
        rows = before.weight[masks[node.name][1]]
        return dataclasses.replace(node, weight=_along(rows, 1, changes[node.name]))  # pyright: ignore
    if not isinstance(before, ir.TTConv2d | ir.TTLinear):
        return node
    assert isinstance(node, ir.TTConv2d | ir.TTLinear)
    cores, last = list(node.cores), len(node.cores) - 1
    for k, full in enumerate(before.cores):
        matrix = changes.get(node.name if k == 0 else bond_name(node.name, k - 1))
        if matrix is None:
            continue
        if k < last:
            full = full[..., inner[bond_name(node.name, k)]]  # noqa: PLW2901 - the core as it is cut behind
        else:
            full = np.compress(masks[node.name][1], full, axis=full.ndim - 2)  # noqa: PLW2901
        cores[k] = _along(full, 0 if k else 1, matrix)
    return dataclasses.replace(node, cores=tuple(cores))


def _along(array: np.ndarray, axis: int, matrix: np.ndarray) -> np.ndarray:
    """float32 ``array`` with ``axis`` [C] replaced by [kept]: summed with ``matrix`` [C, kept]."""
    product = np.tensordot(array.astype(np.float64), matrix, axes=(axis, 0))
    return np.ascontiguousarray(np.moveaxis(product, -1, axis), dtype=np.float32)
