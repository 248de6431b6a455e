"""Substitutes: augmentation, budget, what is known, resuming."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from hwgen.errors import HwgenError
from hwgen.ttseal.augmentation import jacobian_step
from hwgen.ttseal.network import RealNetwork, labels_of, logits_of
from hwgen.ttseal.settings import AttackSettings
from hwgen.ttseal.substitute import Attack, train_substitute
from hwgen.ttseal.units import units_of
from hwgen.ttseal.victim import Victim
from tests.helpers.toy_attack import ATTACK, SPEC, toy_graph, toy_images


def make(**changes: object) -> Attack:
    graph = toy_graph()
    settings = dataclasses.replace(ATTACK, **changes)  # pyright: ignore
    return Attack(graph=graph, spec=SPEC, victim=Victim(graph, SPEC), pool=toy_images(40, seed=1), settings=settings)


def everything(attack: Attack) -> list[str]:
    return [u.node for u in units_of(attack.graph)]


def test_augmentation_moves_along_the_sign_of_the_answers_gradient() -> None:
    class Difference(torch.nn.Module):
        """Two logits: the first grows with the first channel, the second with the second."""

        def __init__(self) -> None:
            super().__init__()
            self.scale = torch.nn.Parameter(torch.ones(1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.scale * torch.stack([x[:, 0].sum((1, 2)) - x[:, 1].sum((1, 2)), x[:, 1].sum((1, 2))], 1)

    images = np.full((2, 2, 3, 3), 100, np.uint8)
    images[0, 0, 0, 0] = 250
    found = jacobian_step(Difference(), images, np.array([0, 1]), 0.1)
    assert found.dtype == np.uint8
    assert (found[0, 0].ravel()[1:] == 126).all()  # 0.1 of 255, rounded
    assert found[0, 0, 0, 0] == 255
    assert (found[0, 1] == 74).all()
    assert (found[1, 0] == 100).all()
    assert (found[1, 1] == 126).all()
    assert (jacobian_step(Difference(), images, np.array([0, 1]), -0.1)[1, 1] == 74).all()


@pytest.mark.parametrize("hidden", [1, 4, None])
def test_the_budget_is_the_same_for_every_set(hidden: int | None) -> None:
    attack = make(rounds=2)
    _, queries = train_substitute(attack, everything(attack)[:hidden], 0)
    assert queries == attack.victim.queries == attack.settings.queries == 32


def test_with_nothing_hidden_there_is_nothing_to_learn() -> None:
    attack = make()
    network, queries = train_substitute(attack, (), 0)
    images = toy_images(10)
    assert queries == attack.victim.queries == 0
    assert np.array_equal(logits_of(network, images), logits_of(RealNetwork(attack.graph, SPEC), images))


@pytest.mark.parametrize("known", ["frozen", "trained"])
def test_known_weights(known: str) -> None:
    attack = make(known=known)
    hidden = everything(attack)[0]
    network, _ = train_substitute(attack, [hidden], 0)
    plain = RealNetwork(attack.graph, SPEC)
    for node in everything(attack):
        same = np.array_equal(network.convolution(node).weight.detach(), plain.convolution(node).weight.detach())
        assert same == (known == "frozen" and node != hidden)


def test_white_box_beats_black_box() -> None:
    """Agreement with the victim: everything known, a little hidden, everything hidden."""
    attack = make(seed_images=24, rounds=1, epochs=15, last_epochs=15)
    images = toy_images(200, seed=7)
    answers = attack.victim.classes(images)
    nodes = everything(attack)
    agreement = [float((labels_of(train_substitute(attack, hidden, 0)[0], images) == answers).mean())
                 for hidden in ([], ["b1.conv2.core1"], nodes)]
    assert len(set(answers.tolist())) > 1
    assert agreement[0] > 0.9
    assert agreement[0] > agreement[1] > agreement[2]


def test_seeds_decide_everything() -> None:
    attack, images = make(), toy_images(10)
    first, again, other = (
        logits_of(train_substitute(attack, everything(attack), seed)[0], images) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("stop", [1, 3, 4])
def test_an_interrupted_training_continues_to_the_same_result(tmp_path: Path, stop: int) -> None:
    attack, images, state = make(seed_images=16, epochs=2), toy_images(10), tmp_path / "state.pt"
    nodes = everything(attack)

    def interrupt(done: int, total: int) -> None:
        assert total == 16  # 2 steps x 2 epochs, then 4 steps x 3 epochs
        if done == stop + 4:
            raise KeyboardInterrupt

    expected = logits_of(train_substitute(attack, nodes, 0)[0], images)
    with pytest.raises(KeyboardInterrupt):
        train_substitute(attack, nodes, 0, state=state, progress=interrupt)
    assert state.exists()
    steps: list[int] = []
    network, queries = train_substitute(attack, nodes, 0, state=state, progress=lambda done, total: steps.append(done))
    assert steps[0] > 1
    assert queries == attack.settings.queries
    assert np.array_equal(logits_of(network, images), expected)
    assert not state.exists()


def test_a_state_of_another_training_is_not_used(tmp_path: Path) -> None:
    attack, state, images = make(), tmp_path / "state.pt", toy_images(10)
    nodes = everything(attack)
    state.write_bytes(b"nonsense")
    found = logits_of(train_substitute(attack, nodes, 0, state=state)[0], images)
    assert np.array_equal(found, logits_of(train_substitute(attack, nodes, 0)[0], images))


def test_too_few_images() -> None:
    with pytest.raises(HwgenError, match="41 seed images are wanted, the attacker's pool has 40"):
        make(seed_images=41)


@pytest.mark.parametrize(("change", "message"), [
    ({"seed_images": 1}, "2 or more"), ({"rounds": -1}, "0 .. 12"), ({"step": 0.0}, "0 < step"),
    ({"epochs": 0}, "1 or more"), ({"batch": 1}, "2 or more"), ({"rate": 0.0}, "rate > 0"),
    ({"known": "liquid"}, "frozen, trained"), ({"precision": "int4"}, "float32, bfloat16"),
    ({"shift": -1}, "0 or more"),
])
def test_impossible_settings(change: dict[str, object], message: str) -> None:
    with pytest.raises(HwgenError, match=message):
        AttackSettings(**change)  # pyright: ignore
