"""Choice of TT ranks: by tolerance, or by a budget of parameters and multiply-accumulates for a whole network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np

from hwgen.errors import HwgenError
from hwgen.tt.decompose import kernel_modes, to_modes
from hwgen.tt.form import ConvShape, TtForm, max_ranks


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What all decomposed layers together may cost.

    Args:
        macs: multiply-accumulates in chain form, for one image.
        parameters: numbers in the cores.
    """

    macs: int
    parameters: int


@dataclass(frozen=True, kw_only=True)
class RankLayer:
    """One layer of the rank search.

    Args:
        kernel: trained dense kernel [O, I, Kh, Kw].
        conv: its dimensions in the network.
        weight: how much its squared relative error counts.
    """

    kernel: np.ndarray = field(repr=False)
    conv: ConvShape
    weight: float = 1.0


def tail_energies(kernel: np.ndarray, grouping: Sequence[str]) -> tuple[np.ndarray, ...]:
    """For every cut of the train, the squared relative error of keeping r singular values of that unfolding.

    Entry r of array k, r = 0..R_k, is ``sum(s[r:]^2) / sum(s^2)``. The squared error of TT-SVD at ranks r_k is at most
    the sum over k of entry r_k (Oseledets 2011, theorem 2.2).
    """
    modes = kernel_modes(kernel)
    tensor = to_modes(kernel.astype(np.float64))
    sizes = [prod(modes[letter] for letter in group) for group in grouping]
    result = []
    for cut in range(1, len(sizes)):
        squared = np.linalg.svd(tensor.reshape(prod(sizes[:cut]), -1), compute_uv=False) ** 2
        tail = np.append(np.cumsum(squared[::-1])[::-1], 0.0)
        result.append(tail / tail[0] if tail[0] > 0 else tail)
    return tuple(result)


def round_rank(rank: int, multiple: int, limit: int) -> int:
    """``rank`` rounded up to a multiple, but never above ``limit`` (at which the train is exact)."""
    return min(-(-rank // multiple) * multiple, limit)


def ranks_by_tolerance(kernel: np.ndarray, grouping: Sequence[str], tolerance: float, multiple: int = 1) -> TtForm:
    """The smallest ranks whose relative Frobenius error is at most ``tolerance``, rounded up to ``multiple``.

    The squared tolerance is shared evenly between the cuts, so the bound holds for TT-SVD at these ranks.
    """
    if not 0 <= tolerance < 1:
        raise HwgenError(f"TT tolerance must be at least 0 and below 1, not {tolerance!r}")
    limits = max_ranks(grouping, kernel_modes(kernel))
    share = tolerance**2 / len(limits)
    ranks = []
    for tail, limit in zip(tail_energies(kernel, grouping), limits, strict=True):
        smallest = max(1, int(np.argmax(tail <= share)))
        ranks.append(round_rank(smallest, multiple, limit))
    return TtForm(tuple(grouping), tuple(ranks))


def ranks_by_budget(
    layers: Mapping[str, RankLayer], grouping: Sequence[str], budget: Budget, multiple: int
) -> dict[str, TtForm]:
    """Ranks for every layer such that the summed weighted squared relative error is small and the budget is kept.

    Greedy: all ranks start at ``multiple``; the increase by ``multiple`` that removes most error per unit of cost is
    taken as long as one fits. Cost mixes the shares of both budgets; of several mixtures the best outcome is returned.

    Raises:
        HwgenError: the smallest ranks already break the budget.
    """
    tails = {name: tail_energies(layer.kernel, grouping) for name, layer in layers.items()}
    limits = {name: max_ranks(grouping, layer.conv.mode_sizes()) for name, layer in layers.items()}

    def error(forms: Mapping[str, TtForm]) -> float:
        return sum(
            layers[name].weight * sum(float(tail[rank]) for tail, rank in zip(tails[name], form.ranks, strict=True))
            for name, form in forms.items()
        )

    smallest = {
        name: TtForm(tuple(grouping), tuple(min(multiple, limit) for limit in limits[name])) for name in layers
    }
    search = _Search(layers, tails, limits, budget, multiple)
    outcomes = [search.greedy(smallest, mix) for mix in (0.0, 0.25, 0.5, 0.75, 1.0)]
    return min(outcomes, key=error)


@dataclass(frozen=True)
class _Search:
    layers: Mapping[str, RankLayer]
    tails: Mapping[str, tuple[np.ndarray, ...]]
    limits: Mapping[str, tuple[int, ...]]
    budget: Budget
    multiple: int

    def greedy(self, smallest: Mapping[str, TtForm], mix: float) -> dict[str, TtForm]:
        """One greedy pass; ``mix`` = 0 counts only MACs as cost, 1 only parameters."""
        layers, budget, multiple = self.layers, self.budget, self.multiple
        forms = dict(smallest)
        macs = sum(form.macs(layers[name].conv) for name, form in forms.items())
        parameters = sum(form.parameters(layers[name].conv) for name, form in forms.items())
        if macs > budget.macs or parameters > budget.parameters:
            raise HwgenError(
                f"ranks of {multiple} already need {macs:,} MACs and {parameters:,} parameters",
                allowed=f"at most {budget.macs:,} MACs and {budget.parameters:,} parameters",
                hint="choose a smaller rank multiple, another grouping or a larger budget",
            )
        while True:
            best: tuple[float, str, TtForm, int, int] | None = None
            for name, form in forms.items():
                conv = layers[name].conv
                for cut, rank in enumerate(form.ranks):
                    raised = round_rank(rank + multiple, multiple, self.limits[name][cut])
                    if raised == rank:
                        continue
                    new = TtForm(form.grouping, (*form.ranks[:cut], raised, *form.ranks[cut + 1 :]))
                    more_macs = new.macs(conv) - form.macs(conv)
                    more_parameters = new.parameters(conv) - form.parameters(conv)
                    if macs + more_macs > budget.macs or parameters + more_parameters > budget.parameters:
                        continue
                    tail = self.tails[name][cut]
                    gain = layers[name].weight * float(tail[rank] - tail[raised])
                    cost = (1 - mix) * more_macs / budget.macs + mix * more_parameters / budget.parameters
                    if best is None or gain / cost > best[0]:
                        best = (gain / cost, name, new, more_macs, more_parameters)
            if best is None:
                return forms
            _, name, new, more_macs, more_parameters = best
            forms[name] = new
            macs += more_macs
            parameters += more_parameters
