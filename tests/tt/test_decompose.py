"""TT-SVD: exact at full rank, bounded error below, refused for what it cannot do."""

from __future__ import annotations

import numpy as np
import pytest

from hwgen.errors import HwgenError
from hwgen.tt import GROUPINGS, TtForm, contract, parse_grouping, tt_svd
from hwgen.tt.decompose import kernel_modes
from hwgen.tt.form import max_ranks
from hwgen.tt.ranks import tail_energies


def kernel(shape: tuple[int, int, int, int] = (10, 6, 3, 3), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize("grouping", GROUPINGS)
def test_full_rank_is_exact(grouping: str) -> None:
    groups = parse_grouping(grouping)
    weights = kernel()
    form = TtForm(groups, max_ranks(groups, kernel_modes(weights)))
    result = tt_svd(weights, form)
    assert result.relative_error < 1e-7
    np.testing.assert_allclose(contract(result.cores), weights, atol=1e-12)


def test_ranks_above_the_maximum_are_cut() -> None:
    result = tt_svd(kernel(), TtForm(("I", "HW", "O"), (64, 64)))
    assert result.ranks == (6, 10)


@pytest.mark.parametrize("grouping", GROUPINGS)
def test_reported_error_is_the_real_one_and_within_the_bound(grouping: str) -> None:
    groups = parse_grouping(grouping)
    weights = kernel((16, 12, 3, 3))
    ranks = tuple(max(1, rank // 2) for rank in max_ranks(groups, kernel_modes(weights)))
    result = tt_svd(weights, TtForm(groups, ranks))
    error = np.linalg.norm(contract(result.cores) - weights) / np.linalg.norm(weights)
    assert result.relative_error == pytest.approx(error, rel=1e-9)
    bound = sum(tail[rank] for tail, rank in zip(tail_energies(weights, groups), ranks, strict=True))
    assert error**2 <= bound + 1e-12


def test_a_kernel_of_low_rank_is_found_again() -> None:
    rng = np.random.default_rng(1)
    cores = [rng.normal(size=(1, 8, 2)), rng.normal(size=(2, 3, 3, 3)), rng.normal(size=(3, 9, 1))]
    weights = contract(cores)
    result = tt_svd(weights, TtForm(("I", "HW", "O"), (2, 3)))
    assert result.relative_error < 1e-7


def test_a_zero_kernel_stays_zero() -> None:
    result = tt_svd(np.zeros((4, 4, 3, 3)), TtForm(("I", "HW", "O"), (2, 2)))
    assert result.relative_error == 0
    assert not contract(result.cores).any()


def test_neighbouring_slices_have_one_norm() -> None:
    first, second, _ = tt_svd(kernel(), TtForm(("I", "HW", "O"), (4, 5))).cores
    left = np.linalg.norm(first.reshape(-1, 4), axis=0)
    right = np.linalg.norm(second.reshape(4, -1), axis=1)
    np.testing.assert_allclose(left, right, rtol=0.2)


def test_bad_kernels_are_refused() -> None:
    form = TtForm(("I", "HW", "O"), (2, 2))
    with pytest.raises(HwgenError, match="4 dimensions, not 2"):
        tt_svd(np.zeros((4, 4)), form)
    weights = kernel()
    weights[0, 0, 0, 0] = np.nan
    with pytest.raises(HwgenError, match="NaN or infinity"):
        tt_svd(weights, form)
