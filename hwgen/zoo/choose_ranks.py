"""TT ranks of a whole network from its trained dense twin and the budget of the recipe."""

from __future__ import annotations

from torch import nn

from hwgen.errors import HwgenError
from hwgen.tt.form import TtForm, parse_grouping
from hwgen.tt.ranks import Budget, RankLayer, ranks_by_budget
from hwgen.zoo.count import count_layers
from hwgen.zoo.recipe import Recipe


def choose_ranks(recipe: Recipe, dense: nn.Module) -> dict[str, TtForm]:
    """Ranks for the layers that ``recipe.tt`` names, such that the whole network keeps its two ratios.

    Args:
        recipe: with ``tt.macs_ratio`` and ``tt.parameters_ratio``; ranks that it already holds are ignored.
        dense: the trained twin, in evaluation mode.

    Raises:
        HwgenError: a ratio is missing, a layer does not exist, or the budget cannot be kept.
    """
    tt, where = recipe.tt, f"{recipe.path}: tt"
    if tt.macs_ratio is None or tt.parameters_ratio is None:
        raise HwgenError("macs_ratio and parameters_ratio are needed to choose ranks", where=where)
    counts = count_layers(dense, recipe.input.shape)
    names = [layer.name for layer in tt.layers]
    layers: dict[str, RankLayer] = {}
    for name in names:
        conv = counts[name].conv if name in counts else None
        if conv is None:
            raise HwgenError(f"no convolution {name!r}", where=where, allowed=", ".join(counts))
        kernel = dense.get_submodule(name).get_parameter("weight").detach().numpy()
        layers[name] = RankLayer(kernel=kernel, conv=conv)
    kept = [count for name, count in counts.items() if name not in layers]
    biases = sum(layer.conv.out_channels for layer in layers.values())
    macs = sum(count.macs for count in counts.values())
    parameters = sum(count.parameters for count in counts.values())
    budget = Budget(
        macs=int(macs / tt.macs_ratio) - sum(count.macs for count in kept),
        parameters=int(parameters / tt.parameters_ratio) - sum(count.parameters for count in kept) - biases,
    )
    return ranks_by_budget(layers, parse_grouping(tt.grouping), budget, tt.rank_multiple)
