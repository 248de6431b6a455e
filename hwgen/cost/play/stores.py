"""The store unit."""

from __future__ import annotations

from math import ceil

from hwgen.cost.decryptor import RowCipher
from hwgen.cost.play.events import Process
from hwgen.cost.play.frame import BEAT, Frame
from hwgen.cost.play.programs import StoreRun, store_runs


class StoreUnit:
    """One store after the other, plane by plane; a store counts when the memory has answered."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self.runs = store_runs(frame.network.program)
        self._cipher = RowCipher(frame.config)

    def run(self, start: float) -> Process:
        """The frame's stores; ``start``: the program is there."""
        frame, c = self._frame, self._frame.constants
        now, offered = start, start + c.fetch
        for run in self.runs:
            for _ in range(run.descriptors):
                now = max(now, offered)
                offered = now + c.fetch
            now += c.store_issue
            begun = now  # rows are known, and their key stream is made
            if frame.progress.value < run.wait_progress:
                yield frame.progress.reaches(run.wait_progress)
            now = max(now, (frame.progress.time(run.wait_progress) or 0.0) + c.wait + 1)
            beats, rate = ceil(run.words * frame.config.p_i / BEAT), 1.0
            if run.row_words:
                beats, rate = self._rows(run)
            target = frame.banks[frame.bank(run.source)]
            for _ in range(run.planes):
                yield frame.clock.until(now + c.store_lead)
                made = self._cipher.ready(begun, frame.clock.now, beats) if run.row_words else 0.0
                yield frame.memory.transfer(beats, target, rate)
                if made > frame.clock.now:
                    yield frame.clock.until(made)
                now = frame.clock.now + c.store_plane
            frame.clock.at(frame.clock.now + frame.write_latency + c.answer, frame.stored.add)

    def _rows(self, run: StoreRun) -> tuple[int, float]:
        """Beats of a plane with tags, and how many of them leave in a cycle at most."""
        config, c = self._frame.config, self._frame.constants
        beats, rows = ceil(run.row_words * config.p_i / BEAT), run.words // run.row_words
        return rows * (beats + 1), (beats + 1) / (beats + 1 + c.row_seal)
