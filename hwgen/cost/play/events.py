"""Processes in time: a clock, and counts that processes wait for.

A process is a generator; what it yields is a function that is given what to call when the process shall go on. A
process may work ahead of the clock as long as it needs nothing that is not known yet.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Generator
from heapq import heappop, heappush

Action = Callable[[], None]
Wait = Callable[[Action], None]
Process = Generator[Wait, None, None]


class Clock:
    """Actions in the order of their times (cycles); those of the same time in the order in which they were given."""

    def __init__(self) -> None:
        self.now = 0.0
        self._queue: list[tuple[float, int, Action]] = []
        self._count = 0

    def at(self, when: float, action: Action) -> None:
        """Do ``action`` at ``when``, or now if that is over."""
        self._count += 1
        heappush(self._queue, (max(when, self.now), self._count, action))

    def until(self, when: float) -> Wait:
        """For a process to wait for a time."""
        return lambda resume: self.at(when, resume)

    def start(self, process: Process) -> None:
        """Run ``process`` from now on."""
        def step() -> None:
            for wait in process:
                wait(step)
                return

        self.at(self.now, step)

    def run(self) -> None:
        """Until nothing is left to do."""
        queue = self._queue
        while queue:
            self.now, _, action = heappop(queue)
            action()


class Count:
    """A number that only grows, with its history."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: list[tuple[float, int, Action]] = []
        self._given = 0
        self.value = 0.0
        self.values: list[float] = []
        self.times: list[float] = []

    def reach(self, value: float) -> None:
        """The number is ``value`` from now on, if it was less."""
        if value <= self.value:
            return
        self.value = value
        self.values.append(value)
        self.times.append(self._clock.now)
        while self._waiting and self._waiting[0][0] <= value:
            self._clock.at(self._clock.now, heappop(self._waiting)[2])

    def add(self, amount: float = 1.0) -> None:
        """The number grows by ``amount`` now."""
        self.reach(self.value + amount)

    def time(self, value: float) -> float | None:
        """When the number became ``value`` or more; None: not yet."""
        if value <= 0:
            return 0.0
        if self.value < value:
            return None
        return self.times[bisect_left(self.values, value)]

    def reaches(self, value: float) -> Wait:
        """For a process to wait until the number is ``value`` or more."""
        def wait(resume: Action) -> None:
            if self.value >= value:
                self._clock.at(self._clock.now, resume)
            else:
                self._given += 1
                heappush(self._waiting, (value, self._given, resume))

        return wait
