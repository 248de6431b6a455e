"""Shares of the memory's bandwidth."""

from __future__ import annotations

import pytest

from hwgen.cost.play.events import Clock, Count, Process
from hwgen.cost.play.memory import Memory, Target


def _play(rate: float, transfers: list[tuple[float, float, str]], targets: dict[str, tuple[float, float]],
          held: tuple[str, float, float] | None = None) -> list[float]:
    """When each transfer (start, beats, target) ends; targets: (rate, queue); held: target, from, until."""
    clock = Clock()
    memory = Memory(clock, rate)
    known = {name: Target(memory, own, queue) for name, (own, queue) in targets.items()}
    ends = [0.0] * len(transfers)

    def move(number: int, start: float, beats: float, target: Target) -> Process:
        yield clock.until(start)
        yield memory.transfer(beats, target)
        ends[number] = clock.now

    for number, (start, beats, name) in enumerate(transfers):
        clock.start(move(number, start, beats, known[name]))
    if held is not None:
        clock.at(held[1], known[held[0]].hold)
        clock.at(held[2], known[held[0]].release)
    clock.run()
    return ends


def test_one_port_moves_a_beat_a_cycle() -> None:
    assert _play(2.5, [(10, 100, "a")], {"a": (4, 0)}) == pytest.approx([110])


def test_ports_share_the_pool() -> None:
    # two at 0.5 until the short one ends at 20, then one at 1
    assert _play(1, [(0, 10, "a"), (0, 30, "a")], {"a": (4, 0)}) == pytest.approx([20, 40])


def test_what_one_target_cannot_take_goes_to_the_others() -> None:
    ends = _play(1.5, [(0, 50, "slow"), (0, 50, "slow"), (0, 90, "fast")], {"slow": (0.5, 0), "fast": (4, 0)})
    assert ends == pytest.approx([200, 200, 90])


def test_nothing_moves_while_a_target_is_held() -> None:
    assert _play(1, [(0, 50, "a"), (0, 50, "b")], {"a": (1, 0), "b": (1, 0)}, ("a", 20, 60)) == pytest.approx(
        [100, 60])


def test_a_queue_takes_up_what_comes_meanwhile() -> None:
    # half the rate of the target: 5 beats of room carry the transfer through 10 cycles
    assert _play(0.5, [(0, 50, "a")], {"a": (1, 5)}, ("a", 20, 30)) == pytest.approx([100])
    assert _play(0.5, [(0, 50, "a")], {"a": (1, 5)}, ("a", 20, 50)) == pytest.approx([120])
    # at the full rate of the target the queue is full already
    assert _play(1, [(0, 50, "a")], {"a": (1, 5)}, ("a", 20, 30)) == pytest.approx([60])


def test_one_way_to_two_targets() -> None:
    clock = Clock()
    memory, lane = Memory(clock, 4), list[Target]()
    near, far = Target(memory, 1, 0, lane), Target(memory, 1, 0, lane)
    ends: list[float] = []

    def move(target: Target) -> Process:
        yield memory.transfer(50, target)
        ends.append(clock.now)

    clock.start(move(near))
    clock.start(move(far))
    clock.at(20, near.hold)
    clock.at(60, near.release)
    clock.run()
    assert ends == pytest.approx([140, 140])  # half each, and nothing at all while one of them is held


def test_a_count_remembers_when() -> None:
    clock = Clock()
    count = Count(clock)
    seen: list[float] = []

    def wait() -> Process:
        yield count.reaches(2)
        seen.append(clock.now)

    clock.start(wait())
    for when in (5, 9):
        clock.at(when, count.add)
    clock.run()
    assert seen == [9]
    assert [count.time(value) for value in (0, 1, 2, 3)] == [0, 5, 9, None]
