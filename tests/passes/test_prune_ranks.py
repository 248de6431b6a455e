"""Ranks and units removed by number: the right slices go, and what cannot go is refused."""

from __future__ import annotations

import numpy as np
import pytest

from hwgen.errors import HwgenError
from hwgen.ir import nodes as ir
from hwgen.passes.prune_channels import kept_masks, remove_units, unit_members
from hwgen.passes.prune_ranks import bonds, remove_ranks
from tests.helpers.networks import residual_network


def test_slices_on_both_sides() -> None:
    graph = residual_network((8, 12), 8, tt=True)
    smaller = remove_ranks(graph, {"b1.conv1:1": [0, 3]})
    before, after = graph["b1.conv1"], smaller["b1.conv1"]
    assert isinstance(before, ir.TTConv2d) and isinstance(after, ir.TTConv2d)
    kept = [r for r in range(bonds(graph)["b1.conv1:1"]) if r not in (0, 3)]
    np.testing.assert_array_equal(after.cores[1], before.cores[1][..., kept])
    np.testing.assert_array_equal(after.cores[2], before.cores[2][kept])
    np.testing.assert_array_equal(after.cores[0], before.cores[0])


def test_units_and_masks() -> None:
    graph = residual_network((8, 12), 8)
    members = unit_members(graph)
    assert set(members["stem"]) == {"stem", "b0.conv2"}
    masks = kept_masks(graph, {"stem": [1, 4]})
    assert list(np.flatnonzero(~masks["b0.conv1"][0])) == [1, 4] == list(np.flatnonzero(~masks["b0.conv2"][1]))
    assert masks["b1.conv2"][0].all()
    smaller = remove_units(graph, {"stem": [1, 4]})
    assert smaller["stem"].shape[0] == 6 == smaller["b0.conv2"].shape[0]


def test_what_cannot_go() -> None:
    graph = residual_network((8, 12), 8, tt=True)
    rank = bonds(graph)["b1.conv1:0"]
    with pytest.raises(HwgenError, match=r"no bond 'b1\.conv1:2'"):
        remove_ranks(graph, {"b1.conv1:2": [0]})
    for ranks in ([rank], range(rank), [-1]):
        with pytest.raises(HwgenError, match="cannot remove ranks"):
            remove_ranks(graph, {"b1.conv1:0": list(ranks)})
    with pytest.raises(HwgenError, match="no group 'fc'"):
        remove_units(graph, {"fc": [0]})
    with pytest.raises(HwgenError, match="cannot remove units"):
        remove_units(graph, {"stem": range(8)})
