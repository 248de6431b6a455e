"""Repair on accuracies that are known."""

from __future__ import annotations

from hwgen.ttseal.repair import repair

IMPORTANCE = {"a": 4.0, "b": 3.0, "c": 2.0, "d": 1.0}
SIZES = {"a": 40, "b": 30, "c": 20, "d": 10}


def accuracy_if(needed: set[str]):
    """Blind if everything in ``needed`` is hidden."""
    return lambda nodes: 0.1 if needed <= nodes else 0.9


def test_a_set_that_holds_loses_what_it_does_not_need() -> None:
    found = repair({"a", "b", "c"}, IMPORTANCE, SIZES, accuracy_if({"b"}), 0.2, drops=3)
    assert found.nodes == ("b",)
    assert found.holds
    assert [kind for kind, _, _ in found.log] == ["verify", "drop", "drop", "drop"]
    assert [name for _, name, _ in found.log] == ["", "a", "b", "c"]


def test_the_most_important_plain_items_are_added_and_kept() -> None:
    found = repair({"d"}, IMPORTANCE, SIZES, accuracy_if({"a", "b"}), 0.2, drops=2)
    assert found.nodes == ("a", "b")
    assert [(kind, name) for kind, name, _ in found.log] == [("verify", ""), ("add", "a"), ("add", "b"), ("drop", "d")]


def test_removals_are_limited() -> None:
    found = repair({"a", "b", "c"}, IMPORTANCE, SIZES, accuracy_if(set()), 0.2, drops=1)
    assert found.nodes == ("b", "c")


def test_what_cannot_hold_is_said() -> None:
    found = repair({"a"}, IMPORTANCE, SIZES, lambda nodes: 0.9, 0.2)
    assert not found.holds
    assert found.nodes == ("a", "b", "c", "d")
