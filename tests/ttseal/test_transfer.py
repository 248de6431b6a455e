"""Transfer of adversarial examples: sanity of attacks and scoring. Needs the ``attack`` extra."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from hwgen.errors import HwgenError, ToolMissingError
from hwgen.ttseal.network import RealNetwork
from hwgen.ttseal.settings import TransferSettings
from hwgen.ttseal.transfer import _as_images, transfer
from hwgen.ttseal.units import units_of
from hwgen.ttseal.victim import Victim
from tests.helpers.toy_attack import SPEC, toy_graph, toy_images

SETTINGS = TransferSettings(images=30, epsilons=(4, 24), headline=24, steps=5, batch=16)


def test_the_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "art", None)
    graph = toy_graph()
    victim, images = Victim(graph, SPEC), toy_images(4)
    with pytest.raises(ToolMissingError, match=r"adversarial-robustness-toolbox.*\n.*hwgen\[attack\]") as caught:
        transfer(RealNetwork(graph, SPEC), victim, images, victim.classes(images), SETTINGS)
    assert caught.value.exit_code == 4


def test_examples_are_images_within_epsilon() -> None:
    images = np.array([0, 3, 250, 255], np.uint8).reshape(1, 1, 2, 2)
    made = np.array([-1.0, 3.4 / 255, 2.0, 251.6 / 255], np.float32).reshape(1, 1, 2, 2)
    assert _as_images(made, images, 4).ravel().tolist() == [0, 3, 254, 252]


def test_white_box_examples_transfer_and_blind_ones_do_less() -> None:
    graph, images = toy_graph(), toy_images(40)
    victim = Victim(graph, SPEC)
    labels = victim.classes(images)
    hidden = [u.node for u in units_of(graph)]
    known, blind = (transfer(RealNetwork(graph, SPEC, nodes, seed=1).eval(), victim, images, labels, SETTINGS)
                    for nodes in ((), hidden))
    assert known.images == blind.images == 30
    for attack in ("fgsm", "pgd", "auto"):
        assert known.success[attack][24] > blind.success[attack][24]
        assert known.success[attack][24] >= known.success[attack][4]
        assert known.success[attack][24] > known.success["noise"][24]
    assert known.success["auto"][24] >= known.success["pgd"][24]
    assert known.success["auto"][24] > 0.8
    assert known.substitute_success["auto"][24] > 0.8


def test_global_generators_are_left_alone_and_seeds_decide() -> None:
    graph, images = toy_graph(), toy_images(8)
    victim, network = Victim(graph, SPEC), RealNetwork(graph, SPEC).eval()
    labels = victim.classes(images)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # pyright: ignore
    first, again = (transfer(network, victim, images, labels, SETTINGS, seed=3) for _ in range(2))
    assert first == again
    assert np.array_equal(np.random.get_state()[1], before[0])  # pyright: ignore
    assert torch.equal(torch.get_rng_state(), before[1])


def test_no_image_is_classified_correctly() -> None:
    graph, images = toy_graph(), toy_images(4)
    victim = Victim(graph, SPEC)
    with pytest.raises(HwgenError, match="classifies no image correctly"):
        transfer(RealNetwork(graph, SPEC), victim, images, victim.classes(images) + 1, SETTINGS)


@pytest.mark.parametrize("change", [{"epsilons": ()}, {"epsilons": (0,)}, {"headline": 3}, {"steps": 0}, {"images": 0}])
def test_impossible_settings(change: dict[str, object]) -> None:
    with pytest.raises(HwgenError):
        TransferSettings(**change)  # pyright: ignore
