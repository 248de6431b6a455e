"""Step compress: a network without dense convolutions is refused, not silently left as it is."""

from __future__ import annotations

import pytest

from hwgen.errors import HwgenError
from hwgen.pipeline.steps.compress import by_macs, require_dense
from tests.helpers.networks import residual_network


def test_a_network_of_tensor_trains_is_refused() -> None:
    graph = by_macs(residual_network((32, 64), 16), 1.5)
    with pytest.raises(HwgenError, match=r"nothing to compress: \d+ layers are tensor trains already"):
        by_macs(graph, 8)


def test_a_dense_network_is_taken() -> None:
    graph = residual_network((32, 64), 16)
    assert require_dense(graph) is graph
