"""The external memory: one pool of bandwidth that all transfers share, each limited by its port and its target."""

from __future__ import annotations

from collections.abc import Sequence

from hwgen.cost.play.events import Action, Clock, Wait

_END = 1e-6


class Target:
    """What some transfers end in (or begin at); together they move ``rate`` beats a cycle at most, and none while it
    is ``held``, beyond what ``queue`` beats of room on the way take up if it had kept up so far.

    Args:
        lane: targets that are reached on one way, of the same rate; the new one joins them. Together they move no more
            than one alone, and what stops at one of them keeps what is behind it from the others.
    """

    def __init__(self, memory: Memory, rate: float, queue: float = 0.0, lane: list[Target] | None = None) -> None:
        self.rate, self.queue, self.active = rate, queue, 0
        self.lane = [] if lane is None else lane
        self.lane.append(self)
        self.share = rate  # of what it could move, in this moment
        self._memory, self._holders = memory, 0
        self._turn = 0  # number of holds and releases so far

    def hold(self) -> None:
        """Something with priority uses it from now on."""
        self._holders += 1
        if self._holders > 1:
            return
        self._turn += 1
        used = self._memory.rate_of(self.lane) if self.active else 0.0
        if self.queue and 0 < used < 0.99 * self.rate:
            turn, clock = self._turn, self._memory.clock
            clock.at(clock.now + self.queue / used, lambda: self._set(0.0) if turn == self._turn else None)
        else:
            self._set(0.0)

    def release(self) -> None:
        """It does so no longer."""
        self._holders -= 1
        if self._holders == 0:
            self._turn += 1
            self._set(self.rate)

    def each(self) -> float:
        """What one transfer to it gets at most in this moment."""
        busy = [target for target in self.lane if target.active]
        return min(target.share for target in busy) / sum(target.active for target in busy)

    def _set(self, share: float) -> None:
        if self.active and share != self.share:
            self._memory.settle()
            self.share = share
            self._memory.distribute()
        else:
            self.share = share


class _Transfer:
    __slots__ = ("left", "limit", "rate", "resume", "target")

    def __init__(self, beats: float, target: Target, limit: float, resume: Action) -> None:
        self.left, self.target, self.limit, self.resume = beats, target, limit, resume
        self.rate = 0.0


class Memory:
    """Beats cross one port at one a cycle at most, and all ports at ``rate`` a cycle; who wants less leaves the rest to
    the others."""

    def __init__(self, clock: Clock, rate: float) -> None:
        self.clock, self._rate = clock, rate
        self._transfers: list[_Transfer] = []
        self._since = 0.0
        self._version = 0

    def transfer(self, beats: float, target: Target, limit: float = 1.0) -> Wait:
        """For a process to wait until ``beats`` have moved over its port, at most ``limit`` a cycle."""
        def wait(resume: Action) -> None:
            self.settle()
            target.active += 1
            self._transfers.append(_Transfer(beats, target, limit, resume))
            self.distribute()

        return wait

    def rate_of(self, targets: Sequence[Target]) -> float:
        """Beats a cycle that move to (or from) ``targets`` now."""
        return sum(one.rate for one in self._transfers if one.target in targets)

    def settle(self) -> None:
        """Account for what has moved until now."""
        passed = self.clock.now - self._since
        self._since = self.clock.now
        if passed > 0:
            for one in self._transfers:
                one.left -= passed * one.rate

    def distribute(self) -> None:
        """Share the bandwidth anew and find out what ends next."""
        self._version += 1
        if not self._transfers:
            return
        wanted = sorted((min(one.limit, one.target.each()), number) for number, one in enumerate(self._transfers))
        left, count = self._rate, len(wanted)
        soonest = float("inf")
        for want, number in wanted:
            one = self._transfers[number]
            one.rate = min(want, left / count)
            left -= one.rate
            count -= 1
            if one.rate > 0:
                soonest = min(soonest, one.left / one.rate)
        if soonest < float("inf"):
            version = self._version
            self.clock.at(self.clock.now + soonest, lambda: self._complete(version))

    def _complete(self, version: int) -> None:
        if version != self._version:
            return
        self.settle()
        kept = []
        for one in self._transfers:
            if one.left > _END:
                kept.append(one)
            else:
                one.target.active -= 1
                self.clock.at(self.clock.now, one.resume)
        self._transfers = kept
        self.distribute()
