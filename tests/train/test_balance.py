"""Balancing the cores of a train whose input has fewer dimensions than channels."""

from __future__ import annotations

import pytest
import torch

import hwgen.train.balance
from hwgen.train.balance import balance_module
from hwgen.tt import TtForm
from hwgen.zoo.tt_conv import TTConv2d


def balanced() -> tuple[float, float]:
    """Largest weight before and after balancing; the function must be the same."""
    torch.manual_seed(0)
    layer = TTConv2d(16, 12, (1, 1), TtForm(grouping=("I", "HWO"), ranks=(8,)))
    for core in layer.cores:
        torch.nn.init.normal_(core, std=0.3)
    images = torch.einsum("ci,nihw->nchw", torch.randn(16, 4), torch.randn(8, 4, 5, 5))
    with torch.no_grad():
        expected, before = layer(images), max(float(core.detach().abs().max()) for core in layer.cores)
        balance_module(layer, [images])
        assert torch.allclose(layer(images), expected, atol=1e-3 * float(expected.abs().max()))
    return before, max(float(core.detach().abs().max()) for core in layer.cores)


def test_directions_that_no_data_reach_are_not_magnified() -> None:
    before, after = balanced()
    assert after < 5 * before


def test_without_the_noise_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hwgen.train.balance, "_NOISE", 0.0)
    before, after = balanced()
    assert after > 20 * before
