"""Make a chosen set hold under a real attack: add what is missing, then drop what is not needed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Repaired:
    """Args:
        nodes: the set after repair, sorted.
        holds: whether the attack on it stays within the limit.
        log: what was tried, in order: ("verify" | "add" | "drop", node or "", accuracy).
    """

    nodes: tuple[str, ...]
    holds: bool
    log: tuple[tuple[str, str, float], ...]


def repair(
    chosen: Collection[str], importance: Mapping[str, float], sizes: Mapping[str, int],
    accuracy: Callable[[frozenset[str]], float], limit: float, *, drops: int = 3,
) -> Repaired:
    """Attack the chosen set and change it until it holds.

    While the substitute is too good, the most important plain item is added. Then up to ``drops`` items are tried, the
    largest first: whatever the set does not need is left plain again. Items that were added are not dropped.

    Args:
        chosen: node names.
        importance: of every node; ties are broken by name.
        sizes: bytes of every node.
        accuracy: of a substitute trained against a set, 0..1; expensive.
        limit: A_BB + delta.
        drops: how many removals are tried; each costs one attack.
    """
    nodes, added = frozenset(chosen), set[str]()
    log = [("verify", "", accuracy(nodes))]
    plain = sorted(set(importance) - nodes, key=lambda name: (-importance[name], name))
    while log[-1][2] > limit and plain:
        name = plain.pop(0)
        added.add(name)
        nodes |= {name}
        log.append(("add", name, accuracy(nodes)))
    if log[-1][2] > limit:
        return Repaired(nodes=tuple(sorted(nodes)), holds=False, log=tuple(log))
    for name in sorted(nodes - added, key=lambda name: (-sizes[name], name))[:drops]:
        found = accuracy(nodes - {name})
        log.append(("drop", name, found))
        if found <= limit:
            nodes -= {name}
    return Repaired(nodes=tuple(sorted(nodes)), holds=True, log=tuple(log))
