"""The store unit."""

from __future__ import annotations

from math import ceil

from hwgen.cost.play.events import Process
from hwgen.cost.play.frame import BEAT, Frame
from hwgen.cost.play.programs import store_runs


class StoreUnit:
    """One store after the other, plane by plane; a store counts when the memory has answered."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self.runs = store_runs(frame.network.program)

    def run(self, start: float) -> Process:
        """The frame's stores; ``start``: the program is there."""
        frame, c = self._frame, self._frame.constants
        now, offered = start, start + c.fetch
        for run in self.runs:
            for _ in range(run.descriptors):
                now = max(now, offered)
                offered = now + c.fetch
            now += c.store_issue
            if frame.progress.value < run.wait_progress:
                yield frame.progress.reaches(run.wait_progress)
            now = max(now, (frame.progress.time(run.wait_progress) or 0.0) + c.wait + 1)
            beats = ceil(run.words * frame.config.p_i / BEAT)
            target = frame.banks[frame.bank(run.source)]
            for _ in range(run.planes):
                yield frame.clock.until(now + c.store_lead)
                yield frame.memory.transfer(beats, target)
                now = frame.clock.now + c.store_plane
            frame.clock.at(frame.clock.now + frame.write_latency + c.answer, frame.stored.add)
