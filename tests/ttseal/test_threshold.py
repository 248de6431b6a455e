"""The search for the threshold, on curves that are known."""

from __future__ import annotations

import pytest

from hwgen.errors import HwgenError
from hwgen.ttseal.threshold import smallest_prefix


@pytest.mark.parametrize("answer", range(1, 21))
def test_monotone_curves(answer: int) -> None:
    asked: list[int] = []

    def accuracy(count: int) -> float:
        asked.append(count)
        return 0.9 if count < answer else 0.1

    found = smallest_prefix(accuracy, 20, 0.2)
    assert found.count == answer
    assert found.holds
    assert len(asked) == len(set(asked)) <= 8
    assert dict(found.probes) == {count: 0.9 if count < answer else 0.1 for count in asked}


def test_a_lucky_answer_is_left_behind() -> None:
    # 8 holds, 9 does not, from 10 on everything holds
    found = smallest_prefix(lambda c: 0.1 if c == 8 or c >= 10 else 0.9, 16, 0.2)
    assert found.count == 10
    assert found.holds
    assert dict(found.probes)[9] == 0.9


def test_neighbours_are_looked_at_as_far_as_asked() -> None:
    def accuracy(count: int) -> float:
        return 0.1 if count in (8, 9) or count >= 11 else 0.9  # 10 does not hold

    assert smallest_prefix(accuracy, 16, 0.2, reach=0).count == 8
    assert smallest_prefix(accuracy, 16, 0.2, reach=1).count == 8
    assert smallest_prefix(accuracy, 16, 0.2, reach=2).count == 11


def test_nothing_has_to_be_hidden_where_the_victim_is_no_better_than_the_limit() -> None:
    assert smallest_prefix(lambda c: 0.1, 4, 0.2).count == 0


def test_everything_hidden_is_the_last_resort() -> None:
    found = smallest_prefix(lambda c: 0.9, 4, 0.2)
    assert (found.count, found.holds) == (4, False)


def test_no_items() -> None:
    with pytest.raises(HwgenError, match="at least 1 item"):
        smallest_prefix(lambda c: 0.0, 0, 0.5)
