"""The contraction orders of all TT layers of a network, chosen together on one configuration.

The order with the fewest cycles for a layer by itself need not be the best one in the network: weights of one layer
come while another computes, and what all layers need together decides whether they stay in weight memory. So the choice
starts from the best of all simple policies and is improved layer by layer, always by the cost of the whole network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from hwgen.config.accelerator import DspPacking
from hwgen.cost.arrays import ConfigTable
from hwgen.cost.cycles import work_cost
from hwgen.cost.memory import MemoryModel
from hwgen.cost.network import NetworkCost, network_cost
from hwgen.cost.work import NetworkWork, Variant
from hwgen.passes.plan import TTChoice

#: name of the policy that takes for every layer the order with the fewest multiply-accumulates
FEWEST_MACS = "fewest MACs"
#: rounds over all layers; the second one rarely changes anything
_ROUNDS = 3

#: TT layer -> number of its variant
Numbers = Mapping[str, int]


def with_orders(network: NetworkWork, numbers: Numbers) -> NetworkWork:
    """The network with one variant left for every TT layer."""
    return replace(network, variants={n: (v[numbers[n]],) for n, v in network.variants.items()})


def variant_macs(variant: Variant) -> int:
    """Multiply-accumulates that the array does for one image, contractions on the chip included."""
    return sum(w.channels_in // w.groups * w.channels_out * prod(w.kernel) * w.pixels
               for w in variant.works if not w.pool)


def policies(network: NetworkWork) -> dict[str, dict[str, int]]:
    """Every policy that treats all layers alike, by name: one order for all (a layer that does not have it runs as its
    own chain), and for every layer the order with the fewest multiply-accumulates."""
    found: dict[str, dict[str, int]] = {}
    choices = dict.fromkeys(v.choice for variants in network.variants.values() for v in variants)
    for choice in choices:
        found[_name(choice)] = {
            name: next((k for k, v in enumerate(variants) if v.choice == choice), 0)
            for name, variants in network.variants.items()}
    if found:
        found[FEWEST_MACS] = {name: int(np.argmin([variant_macs(v) for v in variants]))
                              for name, variants in network.variants.items()}
    return found


def _name(choice: TTChoice) -> str:
    return f"{choice.execution.value} {'|'.join(choice.grouping)}" if choice.grouping else choice.execution.value


@dataclass(frozen=True, kw_only=True)
class Orders:
    """Chosen variants and the network's cost with them (one row)."""

    numbers: dict[str, int]
    network: NetworkWork
    cost: NetworkCost

    @property
    def choices(self) -> dict[str, TTChoice]:
        """TT layer -> how it executes."""
        return {name: self.network.variants[name][number].choice for name, number in self.numbers.items()}


def choose_orders(
    network: NetworkWork, table: ConfigTable, memory: MemoryModel, packing: DspPacking,
    value: Callable[[NetworkCost], float],
) -> Orders:
    """The variants with the smallest ``value`` that a descent from the best policy finds.

    Never worse than any policy of ``policies``, nor than the choice which ``network_cost`` makes layer by layer.

    Args:
        table: one row, the configuration.
        value: of the network's cost; what is not possible must be infinite.
    """
    def evaluate(numbers: Numbers) -> tuple[float, NetworkCost]:
        cost = network_cost(with_orders(network, numbers), table, memory, packing)
        return value(cost), cost

    own = network_cost(network, table, memory, packing).choices
    numbers = {name: int(number[0]) for name, number in own.items()}
    best, cost = evaluate(numbers)
    for policy in policies(network).values():
        found, its_cost = evaluate(policy)
        if found < best:
            best, cost, numbers = found, its_cost, dict(policy)
    useful = {name: _useful(variants, table) for name, variants in network.variants.items()}
    for _ in range(_ROUNDS):
        before = best
        for name, alternatives in useful.items():
            for number in alternatives:
                if number != numbers[name]:
                    found, its_cost = evaluate({**numbers, name: number})
                    if found < best:
                        best, cost, numbers = found, its_cost, {**numbers, name: number}
        if best == before:
            break
    return Orders(numbers=numbers, network=network, cost=cost)


def _useful(variants: tuple[Variant, ...], table: ConfigTable) -> list[int]:
    """Variants that no other one beats in both cycles and weight lines (first row of ``table``)."""
    sums = []
    for variant in variants:
        costs = [work_cost(w, table) for w in variant.works]
        sums.append((sum(float(c.cycles[0]) for c in costs), sum(float(c.lines[0]) for c in costs)))
    return [k for k, own in enumerate(sums)
            if not any(o[0] <= own[0] and o[1] <= own[1] and o != own for o in sums) and own not in sums[:k]]
