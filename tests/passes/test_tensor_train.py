"""The TT pass: exact at full rank, within tolerance below, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from hwgen.errors import HwgenError
from hwgen.frontend import from_torch
from hwgen.ir import nodes as ir
from hwgen.ir.count import count
from hwgen.ir.execute import run_float
from hwgen.passes.tensor_train import forms_by_budget, forms_by_rank, forms_by_tolerance, tensor_train
from hwgen.tt.form import TtForm
from hwgen.tt.ranks import Budget

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def graph() -> ir.Graph:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 24, (3, 5), (2, 1), (1, 2)), nn.ReLU(),
              nn.Conv2d(24, 24, 3, groups=4), nn.Conv2d(24, 16, 1), nn.Flatten(), nn.Linear(16 * 6 * 14, 10)]
    return from_torch(nn.Sequential(*layers), (3, 16, 16), "net")


X = np.random.default_rng(0).normal(size=(2, 3, 16, 16)).astype(np.float32)


@pytest.mark.parametrize("grouping", ["I|HW|O", "I|H|W|O", "IH|WO", "IHW|O", "I|HWO"])
def test_full_rank_is_exact(graph, grouping):
    forms = forms_by_rank(graph, 10_000, grouping.split("|"), layers=["2", "5", "7"])
    result = tensor_train(graph, forms)
    before, after = (run_float(g, X)[g.output] for g in (graph, result.graph))
    np.testing.assert_allclose(after, before, rtol=1e-3, atol=1e-4)
    assert [n.op for n in result.graph.nodes if n.op.startswith("TT")] == ["TTConv2d", "TTConv2d", "TTLinear"]
    assert all(r.relative_error < 1e-6 for r in result.replacements)


def test_ranks_shrink_the_network_and_are_reported(graph):
    result = tensor_train(graph, forms_by_rank(graph, 4))
    (only,) = result.replacements
    assert (only.name, only.ranks, only.grouping) == ("2", (4, 4), ("I", "HW", "O"))
    assert only.parameters_after == 16 * 4 + 4 * 15 * 4 + 4 * 24 and only.parameters_before == 16 * 24 * 15
    totals = count(result.graph)
    assert totals.dense_macs == count(graph).macs and totals.macs < totals.dense_macs
    assert totals.dense_parameters == count(graph).parameters


def test_tolerance_bounds_the_error(graph):
    forms = forms_by_tolerance(graph, 0.3, multiple=2, layers=["2"])
    (only,) = tensor_train(graph, forms).replacements
    assert 0 < only.relative_error <= 0.3 and all(r % 2 == 0 for r in only.ranks)
    assert forms_by_tolerance(graph, 1e-9) == {}  # a random kernel does not shrink at this tolerance


def test_budget_is_kept(graph):
    forms = forms_by_budget(graph, Budget(macs=200_000, parameters=2_000), multiple=2, layers=["2"])
    totals = tensor_train(graph, forms).replacements[0]
    assert totals.parameters_after <= 2_000
    with pytest.raises(HwgenError, match="a budget over fully connected layers"):
        forms_by_budget(graph, Budget(macs=1, parameters=1), layers=["7"])


def test_refusals(graph):
    with pytest.raises(HwgenError, match=r"(?s)no dense layer named 'x'.*allowed: 0, 2, 4, 5, 7"):
        tensor_train(graph, {"x": TtForm(("I", "HW", "O"), (2, 2))})
    with pytest.raises(HwgenError, match="4: a convolution of 4 groups"):
        tensor_train(graph, {"4": TtForm(("I", "HW", "O"), (2, 2))})
    with pytest.raises(HwgenError, match="for a linear layer"):
        tensor_train(graph, {"7": TtForm(("I", "HW", "O"), (2, 2))})
