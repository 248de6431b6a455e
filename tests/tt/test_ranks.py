"""Choice of ranks by tolerance and by budget."""

from __future__ import annotations

import numpy as np
import pytest

from hwgen.errors import HwgenError
from hwgen.tt import Budget, ConvShape, RankLayer, TtForm, ranks_by_budget, ranks_by_tolerance, tt_svd

GROUPS = ("I", "HW", "O")


def layer(channels: int, size: int, decay: float, seed: int) -> RankLayer:
    """A kernel whose singular values fall as exp(-decay * k)."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(channels, channels, 3, 3))
    fall = np.exp(-decay * np.arange(channels))
    weights = weights * fall[None, :, None, None] * fall[:, None, None, None]
    shape = (size, size)
    conv = ConvShape(in_channels=channels, out_channels=channels, kernel=(3, 3), in_size=shape, out_size=shape)
    return RankLayer(kernel=weights, conv=conv)


@pytest.mark.parametrize("tolerance", [0.5, 0.2, 0.05])
def test_tolerance_is_kept(tolerance: float) -> None:
    weights = layer(24, 8, 0.1, 0).kernel
    form = ranks_by_tolerance(weights, GROUPS, tolerance, multiple=4)
    assert tt_svd(weights, form).relative_error <= tolerance
    assert all(rank % 4 == 0 for rank in form.ranks)


def test_tolerance_zero_gives_full_ranks_and_loose_ones_small_ranks() -> None:
    weights = layer(16, 8, 0.1, 0).kernel
    assert ranks_by_tolerance(weights, GROUPS, 0.0).ranks == (16, 16)
    loose, tight = (ranks_by_tolerance(weights, GROUPS, tolerance).ranks for tolerance in (0.5, 0.1))
    assert all(a < b for a, b in zip(loose, tight, strict=True))


@pytest.mark.parametrize("tolerance", [-0.1, 1.0])
def test_tolerance_out_of_range(tolerance: float) -> None:
    with pytest.raises(HwgenError, match="TT tolerance must be"):
        ranks_by_tolerance(layer(16, 8, 0.1, 0).kernel, GROUPS, tolerance)


def test_budget_is_kept_and_used() -> None:
    layers = {"flat": layer(32, 8, 0.01, 1), "steep": layer(32, 8, 0.3, 2)}
    budget = Budget(macs=1_000_000, parameters=20_000)
    forms = ranks_by_budget(layers, GROUPS, budget, multiple=4)
    macs = sum(form.macs(layers[name].conv) for name, form in forms.items())
    parameters = sum(form.parameters(layers[name].conv) for name, form in forms.items())
    assert parameters <= budget.parameters
    assert 0.9 * budget.macs < macs <= budget.macs
    assert sum(forms["flat"].ranks) > sum(forms["steep"].ranks)


def test_weights_shift_the_budget() -> None:
    first, second = layer(32, 8, 0.05, 1), layer(32, 8, 0.05, 1)
    heavy = RankLayer(kernel=second.kernel, conv=second.conv, weight=20.0)
    forms = ranks_by_budget({"a": first, "b": heavy}, GROUPS, Budget(macs=900_000, parameters=10**6), 4)
    assert sum(forms["b"].ranks) > sum(forms["a"].ranks)


def test_generous_budget_gives_full_ranks() -> None:
    forms = ranks_by_budget({"a": layer(12, 4, 0.1, 0)}, GROUPS, Budget(macs=10**9, parameters=10**9), 8)
    assert forms == {"a": TtForm(GROUPS, (12, 12))}


def test_impossible_budget_is_refused() -> None:
    with pytest.raises(HwgenError, match="already need"):
        ranks_by_budget({"a": layer(32, 8, 0.1, 0)}, GROUPS, Budget(macs=1000, parameters=10**6), 8)
