"""What can be removed: groups of channels (tied by residual additions), ranks of tensor trains, and whole branches.

A rank is a channel of the map between two cores, so both are groups of units that saliency ranks and the cost model
prices in the same way. A branch (``hwgen.passes.prune_branches``) is a unit of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from hwgen.ir.nodes import Graph
from hwgen.passes.prune_branches import branches, remove_branch
from hwgen.passes.prune_channels import channel_groups, remove_units
from hwgen.passes.prune_ranks import bonds, remove_ranks


@dataclass(frozen=True, kw_only=True)
class Group:
    """Args:
        name: of the group's first layer, or of the bond (``layer:k``).
        ranks: whether its units are ranks of a tensor train.
        size: units that it has.
        layers: that lose a channel with each.
    """

    name: str
    ranks: bool
    size: int
    layers: tuple[str, ...]


def groups(graph: Graph) -> tuple[Group, ...]:
    """All groups of a float graph."""
    channels = [Group(name=g.name, ranks=False, size=len(g.units), layers=g.layers) for g in channel_groups(graph)]
    ranks = [Group(name=name, ranks=True, size=rank, layers=(name.rpartition(":")[0],))
             for name, rank in bonds(graph).items()]
    return (*channels, *ranks)


def shrink(graph: Graph, removed: Mapping[str, Collection[int]]) -> Graph:
    """The graph without the given units of the named groups, and without the named branches."""
    gone, ranked = (removed.keys() & found.keys() for found in (branches(graph), bonds(graph)))
    channels = {name: units for name, units in removed.items() if name not in gone and name not in ranked}
    ranks = {name: units for name, units in removed.items() if name in ranked}
    if channels:
        graph = remove_units(graph, channels)
    if ranks:
        graph = remove_ranks(graph, ranks)
    for name in sorted(gone):
        graph = remove_branch(graph, name)
    return graph
