"""The array with its weight fetch, which reads the lines of all descriptors in program order, ahead of both units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from hwgen.compiler.descriptor import Descriptor
from hwgen.cost.play.events import Process
from hwgen.cost.play.frame import BEAT, Frame
from hwgen.cost.play.memory import Target
from hwgen.isa.layout import COMPUTE_WORDS, ComputeFlag
from rtl_templates.engine.timing import ACCUMULATOR_REVISIT, ADDRESS, PARAMETER_SLOTS, array_output

RAW_INTERVAL = 4


@dataclass(frozen=True, kw_only=True)
class Span:
    """One compute descriptor in time: first issue, cycle behind the last issue, and what it waited for."""

    node: str
    start: float
    end: float
    issue: float  #: cycles in which a pixel (pair) was issued, or a word read by the window unit
    wait_weights: float  #: waited for weights
    wait_other: float  #: waited for the input, for the pipeline or between descriptors


class _Use:
    """Cycles in which the array keeps others from a target; intervals that touch are one.

    Args:
        target: for the load or the store unit; window: for the window unit.
        early: so much earlier ``target`` counts as free again: what is moved then waits in a queue for its port.

    Attributes:
        spare, store_spare: cycles in which the current descriptor leaves it to the window unit, and to ``target``; they
            are taken to be its last ones.
    """

    def __init__(self, frame: Frame, target: Target, early: float = 0.0, window: Target | None = None) -> None:
        self._frame, self._target, self._early, self._window = frame, target, early, window
        self._begin, self._end = 0.0, -1.0
        self.spare = self.store_spare = 0.0

    def add(self, begin: float, end: float) -> None:
        """From ``begin`` on, until ``end``; not before earlier ones."""
        if begin > self._end:
            self.flush()
            self._begin = begin
        self._end = max(self._end, end)

    def flush(self) -> None:
        """Make it known."""
        if self._end > self._begin:
            clock = self._frame.clock
            for target, early in ((self._target, self._early + self.store_spare), (self._window, self.spare)):
                if target is not None:
                    clock.at(self._begin, target.hold)
                    clock.at(max(self._begin, self._end - early), target.release)
        self._begin, self._end = self._end, self._end


def words_between(d: Descriptor) -> int:
    """Words that store or window unit read from a bank while the array reads two words a cycle, or every other word.

    The unit needs the halves of the bank in turn. In the cycles of rows outside the map the array leaves both of them
    free, at a column outside one.
    """
    if d.pool:
        return 0
    parities = tuple(stride % 2 for stride in d.src_strides)
    return d.blocks * _words_between(
        d.counts[:5], (d.src_base % 2, *parities), (d.iy_base, *d.iy_strides[:4], d.height),
        (d.ix_base, *d.ix_strides[:4], d.width), pair=ComputeFlag.PAIR in d.flags)


@cache
def _words_between(counts: tuple[int, ...], address: tuple[int, ...], rows: tuple[int, ...], columns: tuple[int, ...],
                   *, pair: bool) -> int:
    """``words_between`` of one output block.

    Args:
        address: parity of the first address, and of its strides.
        rows, columns: the first one, strides, size of the map.
    """
    at = np.indices(counts[3::-1])[::-1]  # of loops l0 .. l3; l0 is the innermost
    row, column, parity = (first + np.tensordot(strides[:4], at, 1) for first, *strides in (rows, columns, address))
    inside = (row >= 0) & (row < rows[-1])
    used = np.zeros((2, *inside.shape), bool)
    for word in range(2 if pair else 1):
        hit = inside & (column + word >= 0) & (column + word < columns[-1])
        for half in range(2):
            used[half] |= hit & ((parity + word) % 2 == half)
    free = (~used[0] + 2 * ~used[1]).reshape(-1)  # bit 0: even words, bit 1: odd ones
    starts = np.flatnonzero(np.diff(free, prepend=-1))
    runs = [(int(kind), int(length)) for kind, length in
            zip(free[starts], np.diff(starts, append=free.size), strict=True) if kind]
    got = 0
    for block in range(counts[4]):
        flip = block * address[5] % 2
        for kind, length in runs:
            if kind == 3:
                got += length
            elif kind - 1 == (got + flip) % 2:  # the half that is free is the one of the next word
                got += 1
    return got


class Array:
    """Step after step, each as soon as the array is free and its tile has been fetched."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self.spans: dict[int, Span] = {}
        self.end = 0.0
        self._writing = [_Use(frame, words) for words in frame.words]
        gap, per_word = frame.constants.descriptor - 1, frame.config.p_i / BEAT
        self._reading = [_Use(frame, bank, gap * max(0.0, per_word - 1), window)
                         for bank, window in zip(frame.banks, frame.window_banks, strict=True)]
        self._fetched = 0.0  # when the weight fetch has read what it was to read so far
        self._known, self._lines = 0, 0.0  # of the history of loaded lines: entries up to the fetch's time
        self._freed = 0.0

    def run(self, start: float) -> Process:
        """All descriptors; ``start``: the program is there."""
        frame, c, config = self._frame, self._frame.constants, self._frame.config
        residual_read = array_output(config) - 2 - ADDRESS
        slot_free = [0.0] * PARAMETER_SLOTS  # of the oldest first
        free, issued, taken = start, start, [start, start]
        program = frame.header.compute_at
        before: Descriptor | None = None
        dispatched = start
        shadow = start
        for number, d in enumerate(frame.network.descriptors):
            program += COMPUTE_WORDS
            if not frame.warm and frame.program.value < program:
                self._flush()
                yield frame.program.reaches(program)
                dispatched = max(dispatched, frame.clock.now)
            dispatched = max(dispatched + COMPUTE_WORDS + c.fetch, self._fetched, taken[-2])
            self._fetched = max(self._fetched, dispatched)
            release = ComputeFlag.RELEASE in d.flags
            sequence = float(d.weight_seq)
            if d.window:
                frame.window_dispatch(number, dispatched)
                for _ in range(d.blocks):
                    sequence += config.window_lines
                    room = frame.window_room()
                    if frame.window_taken.value < room:
                        self._flush()
                        yield frame.window_taken.reaches(room)
                        self._fetched = max(self._fetched, frame.clock.now)
                    if not self._there(sequence):
                        self._flush()
                        yield frame.loaded.reaches(sequence)
                    self._fetch(config.window_lines, sequence)
                    frame.window_fetch(self._fetched)
                    if release:
                        self._free(sequence, force=True)
                continue

            half = 2 if ComputeFlag.PAIR in d.flags else 1
            records, tile = config.param_lines // half, config.lines_per_tile // half
            interval = RAW_INTERVAL if ComputeFlag.RAW in d.flags else 1
            slots = float(d.step_slots * interval)
            length = max(slots, float(ACCUMULATOR_REVISIT))
            local = ComputeFlag.LOCAL_WEIGHTS in d.flags
            reads, residuals = self._uses(d)
            waits = (frame.landed, d.wait_act), (frame.stored, d.wait_store), (frame.progress, d.wait_progress)
            earliest, begun, waited, built = free, 0.0, 0.0, 0.0
            issue = earliest
            for block in range(d.blocks):
                sequence += records
                if not self._there(sequence):
                    self._flush()
                    yield frame.loaded.reaches(sequence)
                self._fetched = max(self._fetched, slot_free.pop(0))
                self._fetch(records, sequence)
                if block == 0 and local:
                    if frame.progress.value < d.wait_progress:
                        self._flush()
                        yield frame.progress.reaches(d.wait_progress)
                    built = (frame.progress.time(d.wait_progress) or 0.0) + c.wait
                begin = issue
                for step in range(max(d.steps, 1)):
                    if d.steps:
                        self._fetched = max(self._fetched, shadow, built)
                        if local:
                            self._fetched += tile
                        else:
                            sequence += tile
                            if sequence > self._lines and not self._there(sequence):
                                self._flush()
                                yield frame.loaded.reaches(sequence)
                            self._fetch(tile, sequence)
                    if block == 0 and step == 0:
                        for count, value in waits:
                            if value:
                                if count.value < value:
                                    self._flush()
                                    yield count.reaches(value)
                                earliest = max(earliest, (count.time(value) or 0.0) + c.wait)
                        if before is not None and (
                                ComputeFlag.DRAIN in d.flags or ComputeFlag.RAW in d.flags or before.pool != d.pool):
                            earliest = max(earliest, self.end + frame.latency + c.drain)
                        elif before is not None and ComputeFlag.RESIDUAL in before.flags:
                            earliest = max(earliest, self.end + residual_read + c.residual)
                        issue = earliest
                    begin = max(issue, self._fetched)
                    waited += begin - issue
                    if block == 0 and step == 0:
                        begun = begin
                    for use in reads:
                        use.add(begin, begin + slots)
                    shadow = begin
                    issue = begin + (length if d.steps else slots)
                    if release and self._fetched > 0 and not local:
                        self._free(sequence)
                written = (issue - begin) / (1 if d.steps else d.counts[0] * d.counts[1])
                if d.writes and config.pair_mode:  # two words at once; single ones leave the other half of the bank
                    writing = self._writing[frame.bank(d.writes[0].start)]
                    writing.add(issue - written + frame.latency, issue + frame.latency)
                for use in residuals:
                    use.spare = use.store_spare = 0.0
                    use.add(begin + residual_read, issue + residual_read)
                slot_free.append(issue + frame.latency)
                if release:
                    self._free(sequence, force=True)
            self._flush()
            self.spans[number] = Span(
                node=d.node, start=begun, end=issue, issue=float(d.slots * interval), wait_weights=waited,
                wait_other=max(0.0, earliest - issued))
            frame.retire(number, issue + frame.latency)
            taken = [taken[-1], begun]
            self.end = issued = issue
            free = issue + c.descriptor - 1
            before = d
        self._flush()

    def _there(self, sequence: float) -> bool:
        """Whether the lines below ``sequence`` are known to come."""
        return self._frame.resident or self._frame.loaded.value >= sequence

    def _fetch(self, lines: int, sequence: float) -> None:
        """Read ``lines`` lines, which are there; the last one is number ``sequence`` - 1."""
        end = self._fetched + lines
        frame = self._frame
        if not frame.resident and sequence > self._lines:
            values, times = frame.loaded.values, frame.loaded.times
            while self._known < len(values) and (times[self._known] <= self._fetched or values[self._known] < sequence):
                self._lines = values[self._known]
                self._known += 1
            if sequence > self._lines and lines:
                end = max(end, times[self._known] + frame.constants.wait + min(lines, sequence - self._lines))
        self._fetched = end

    def _free(self, sequence: float, *, force: bool = False) -> None:
        """Lines below ``sequence`` have been used for the last time."""
        if force or sequence - self._freed >= self._frame.freed_step:
            self._freed = sequence
            frame = self._frame
            frame.clock.at(self._fetched, lambda: frame.freed.reach(sequence))

    def _uses(self, d: Descriptor) -> tuple[Sequence[_Use], Sequence[_Use]]:
        """Banks that others cannot read while the descriptor runs, and while it reads residuals.

        Two words a cycle, or words of one parity: store and window unit, which need both in turn, get no further.
        """
        config = self._frame.config
        boxes = [self._reading[self._frame.bank(box.start)] for box in d.reads]
        two = ComputeFlag.PAIR in d.flags or (d.pool and config.pair_mode)
        sources = boxes[:1] if two or d.src_strides[d.x_loop] % 2 == 0 else []
        for use in sources:
            use.spare = words_between(d)
            use.store_spare = use.spare * max(1.0, config.p_i / BEAT)
        return sources, boxes[1:2] if config.pair_mode and ComputeFlag.RESIDUAL in d.flags else []

    def _flush(self) -> None:
        for use in (*self._writing, *self._reading):
            use.flush()
