"""What the search takes for encrypted, of every way to say it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hwgen.cost.work import NetworkWork, network_work
from hwgen.ir.nodes import Graph
from hwgen.pipeline.encryption import expected_layers
from hwgen.pipeline.request import BuildRequest
from hwgen.pipeline.source import model_source
from hwgen.seal import SelectedUnit, Selection
from tests.helpers.networks import residual_network


@pytest.fixture(scope="module")
def network() -> NetworkWork:
    graph: Graph = residual_network((32, 64), 16, tt=True)
    return network_work(graph)


def layers(network: NetworkWork, choice: str) -> frozenset[str] | Selection | None:
    request = BuildRequest(model="resnet20", board="zcu104", out=Path(), encrypt=choice)
    return expected_layers(request, model_source(request), network)


def test_everything_and_nothing(network: NetworkWork) -> None:
    assert layers(network, "all") is None
    assert layers(network, "100%") is None
    assert layers(network, "none") == layers(network, "0") == frozenset()


def test_names_are_taken_as_they_are(network: NetworkWork) -> None:
    assert layers(network, "first, second.core1") == {"first", "second.core1"}


def test_a_share_is_filled_in_order(network: NetworkWork) -> None:
    names = list(dict.fromkeys(w.origin or w.name for w in network.works if not w.pool))
    some = layers(network, "30%")
    assert isinstance(some, frozenset)
    assert 0 < len(some) < len(names)
    assert some == set(names[:len(some)])


def test_a_selection_stays_one(network: NetworkWork, tmp_path: Path) -> None:
    unit = SelectedUnit(node="a.core1", layer="a", units=3, shape=(1, 1, 1, 1))
    selection = Selection(model="resnet20", checkpoint="", units=(unit,), summary={})
    (tmp_path / "selection.json").write_text(json.dumps(selection.to_dict()))
    assert layers(network, f"@{tmp_path / 'selection.json'}") == selection
