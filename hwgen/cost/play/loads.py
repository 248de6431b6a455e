"""The load unit and its channels."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from hwgen.config.accelerator import Crypto
from hwgen.cost.decryptor import RowCipher, SegmentCipher
from hwgen.cost.play.events import Count, Process
from hwgen.cost.play.frame import BEAT, Frame
from hwgen.cost.play.memory import Target
from hwgen.cost.play.programs import LoadRun, load_runs
from hwgen.isa.layout import LoadFlag, LoadKind

#: segments that a channel holds: one flowing, the others requested
HELD = 5


@dataclass
class _Segment:
    """``number``: in load order; ``plain``: it bypasses the segment unit; ``encrypted``: it needs key
    stream; ``offered``: when the channel got it; ``row``: of a protected feature map, through the unit for those."""

    number: int
    beats: int
    plain: bool
    encrypted: bool
    target: Target
    offered: float
    row: bool = False


class LoadUnit:
    """Deals segments to the channels in turn and counts them, in order, once they are verified."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._channels = [_Channel(frame, self._done) for _ in range(frame.config.axi_ports)]
        self._turn = 0
        self._lines = 0.0  # of the stream, given to channels
        self._effects: list[Callable[[], None]] = []
        self._times: dict[int, float] = {}
        self._counted = 0
        self._last = 0.0
        self._now = 0.0  # of the unit itself; it may work ahead of the clock
        for channel in self._channels:
            frame.clock.start(channel.run())

    def run(self) -> Process:
        """The frame's loads."""
        frame, c = self._frame, self._frame.constants
        self._now = c.start
        if not frame.warm:
            run = frame.network.runs[0]
            yield from self._issue(LoadRun(
                kind=LoadKind.PROGRAM, resident=False, encrypted=bool(run.flags >> LoadFlag.ENCRYPTED & 1),
                beats=run.beats, full=1 << run.segment_log2, dest=0, planes=1,
                wait_progress=0, wait_store=0, words=1))
            if not frame.program.value:
                yield frame.program.reaches(1)
            self._now = max(self._now, (frame.program.time(1) or 0.0) + c.header)
        offered, at = self._now + c.fetch + 1, frame.header.load_at
        for run in load_runs(frame.network.program):
            for _ in range(run.words):
                at += 1
                if not frame.warm and frame.program.value < at:
                    yield frame.program.reaches(at)
                    offered = max(offered, frame.clock.now + c.wait + c.fetch)
                self._now = max(self._now, offered)
                offered = self._now + c.fetch
            if frame.resident and run.resident:
                effect = frame.landed.add if run.kind is LoadKind.ACTIVATIONS else _nothing
                self._done(self._number(effect), self._now + 1)
                self._now += 1
            else:
                yield from self._issue(run)

    def _issue(self, run: LoadRun) -> Process:
        """One descriptor."""
        frame, c = self._frame, self._frame.constants
        weights, row = run.kind is LoadKind.WEIGHTS, run.row_words > 0
        full = -(-run.row_words * frame.config.p_i // BEAT) if row else run.full
        line_beats = frame.config.line_bytes // 16
        words = frame.words[frame.bank(run.dest)]
        target = {LoadKind.WEIGHTS: frame.lines, LoadKind.PROGRAM: frame.program_words}.get(run.kind, words)
        self._now += c.load_issue
        yield from self._wait(frame.progress, run.wait_progress)
        yield from self._wait(frame.stored, run.wait_store)
        for plane in range(run.planes):
            for at in range(0, run.beats, full):
                beats = min(full, run.beats - at)
                self._now += c.segment_issue - 1
                if weights:
                    lines = beats / line_beats
                    self._lines += lines
                    self._now += c.ring_issue
                    yield from self._wait(frame.freed, self._lines - frame.network.ring_lines, late=1.0)
                    effect = partial(frame.loaded.add, lines)
                elif run.kind is LoadKind.PROGRAM:
                    effect = partial(frame.program.add, beats)
                else:
                    last = plane == run.planes - 1 and at + full >= run.beats
                    effect = frame.landed.add if last else _nothing
                channel = self._channels[self._turn]
                self._turn = (self._turn + 1) % len(self._channels)
                if channel.ended.value < channel.given - HELD + 1:
                    yield channel.ended.reaches(channel.given - HELD + 1)
                    self._now = max(self._now, frame.clock.now + 1)
                channel.give(_Segment(self._number(effect), beats, run.kind is LoadKind.INPUT and not row,
                                      run.encrypted or row, target, self._now, row))
                self._now += 1
            self._now += c.plane_issue

    def _wait(self, count: Count, value: float, late: float = 0.0) -> Process:
        """Until ``count`` is ``value``."""
        if value <= 0:
            return
        if count.value < value:
            yield count.reaches(value)
        when = count.time(value)
        assert when is not None
        self._now = max(self._now, when + self._frame.constants.wait + late)

    def _number(self, effect: Callable[[], None]) -> int:
        self._effects.append(effect)
        return len(self._effects) - 1

    def _done(self, number: int, when: float) -> None:
        """Segment ``number`` is in its memory and verified at ``when``; it counts once all before it are."""
        self._times[number] = when
        while self._counted in self._times:
            self._last = max(self._last, self._times.pop(self._counted))
            self._frame.clock.at(self._last, self._effects[self._counted])
            self._counted += 1


class _Channel:
    """A memory port's way in: the data of its segments follow one another; what bypasses the segment unit, or goes
    through the other one than the segment before, waits until that is empty."""

    def __init__(self, frame: Frame, done: Callable[[int, float], None]) -> None:
        self._frame, self._report = frame, done
        self._queue: deque[_Segment] = deque()
        self._offered = Count(frame.clock)
        self.given = 0
        self.ended = Count(frame.clock)

    def give(self, segment: _Segment) -> None:
        """The load unit's next segment for this channel."""
        self._queue.append(segment)
        self.given += 1
        self._offered.add()

    def run(self) -> Process:
        """Segment after segment."""
        frame, c = self._frame, self._frame.constants
        crypto = frame.config.crypto is Crypto.GCM
        keys = c.key_setup if crypto and not frame.warm else 0.0
        checked, number, row = 0.0, 0, False
        rows, cipher = RowCipher(frame.config), SegmentCipher(frame.config)
        while True:
            number += 1
            yield self._offered.reaches(number)
            segment = self._queue.popleft()
            begin = segment.offered + c.request + frame.read_latency
            switched = not segment.plain and segment.row is not row
            begin = max(begin, checked if segment.plain or switched else 0.0,
                        0.0 if segment.plain or segment.row else keys)
            row = segment.row if not segment.plain else row
            if begin > frame.clock.now:
                yield frame.clock.until(begin)
            beats = segment.beats + (not segment.plain)
            ahead = beats
            made = rows.ready(segment.offered, begin, beats) if segment.row else 0.0
            if crypto and not segment.plain and not segment.row:
                blocks = beats if segment.encrypted else 1
                ready = cipher.ahead(max(segment.offered, keys), frame.clock.now, blocks)
                ahead = min(beats, ready) if segment.encrypted else beats
            if ahead:
                yield frame.memory.transfer(ahead, segment.target)
            if ahead < beats:  # the rest comes as the cipher makes key stream, which has gone on in the meantime
                yield frame.memory.transfer(beats - ahead, segment.target, 1 / frame.config.aes_cycles)
            if made > frame.clock.now:
                yield frame.clock.until(made)
            now = frame.clock.now
            self.ended.add()
            done = now + (c.verify if crypto and not segment.plain else c.landed)
            if not segment.plain:
                checked = done
            self._report(segment.number, done)


def _nothing() -> None:
    """Of a segment that is not its load's last."""
