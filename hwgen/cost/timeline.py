"""Predicted cycles of a compiled program: its steps, the weight fetch ahead of them and the load unit ahead of that.

The three run against each other as in the hardware: a step starts when the array is free and its tile has been
fetched, a tile is fetched when the array took the one before and its lines are loaded, a segment is loaded when the
ring has room.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass

from hwgen.compiler.descriptor import Descriptor
from hwgen.compiler.result import CompiledNetwork
from hwgen.config.accelerator import AcceleratorConfig, Crypto
from hwgen.config.board import Board
from hwgen.cost.constants import CYCLES, CycleConstants
from hwgen.isa.layout import (
    LOAD_FIELDS,
    LOAD_STEP_FIELDS,
    LOAD_WORDS,
    STORE_FIELDS,
    STORE_STEP_FIELDS,
    STORE_WORDS,
    WORD_BYTES,
    ComputeFlag,
    LoadFlag,
    LoadKind,
    decode,
)
from rtl_templates.engine.timing import ACCUMULATOR_REVISIT, pipeline_latency

RAW_INTERVAL = 4
#: segments a channel takes ahead of its data
QUEUE = 4
#: cycles of the store unit between two planes
STORE_PLANE = 12


@dataclass(frozen=True, kw_only=True)
class MemoryModel:
    """The external memory: bytes per cycle in one pool for everything, read latency in cycles."""

    bytes_per_cycle: float
    latency: int

    @classmethod
    def of(cls, board: Board) -> MemoryModel:
        """The memory of a board."""
        return cls(bytes_per_cycle=board.bytes_per_cycle, latency=board.latency_cycles)

    def share(self, engines: int) -> MemoryModel:
        """What one of so many equal engines has of it while all are at work."""
        return MemoryModel(bytes_per_cycle=self.bytes_per_cycle / engines, latency=self.latency)


@dataclass(frozen=True, kw_only=True)
class Span:
    """One compute descriptor in time: first issue, cycle behind the last issue, and what it waited for."""

    node: str
    start: float
    end: float
    issue: float  #: cycles in which a pixel (pair) was issued
    wait_weights: float  #: waited for weights
    wait_other: float  #: waited for the input, for the pipeline or between descriptors


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """One frame.

    Args:
        cycles: start-register write to interrupt.
        spans: of the compute descriptors in order.
        loaded: (cycle, bytes so far) of verified weight segments.
    """

    cycles: int
    spans: tuple[Span, ...]
    loaded: tuple[tuple[float, int], ...]


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Cold frame, following frame."""

    cold: Timeline
    steady: Timeline


def predict(network: CompiledNetwork, memory: MemoryModel, constants: CycleConstants = CYCLES) -> Prediction:
    """Cycles of a cold frame and of a following one."""
    return Prediction(cold=_Frame(network, memory, constants, warm=False).run(),
                      steady=_Frame(network, memory, constants, warm=True).run())


def load_program(program: bytes) -> list[dict[str, int]]:
    """Load descriptors of a program image, in order, each with the fields of the step descriptor before it."""
    at = int.from_bytes(program[2:4], "little") * WORD_BYTES
    out: list[dict[str, int]] = []
    steps = {"wait_store": 0, "last_plane": 0}
    while True:
        data = program[at:at + LOAD_WORDS * WORD_BYTES]
        load = decode(LOAD_FIELDS, data)
        at += LOAD_WORDS * WORD_BYTES
        if load["flags"] >> LoadFlag.END & 1:
            return out
        if load["flags"] >> LoadFlag.STEPS & 1:
            steps = decode(LOAD_STEP_FIELDS, data)
            continue
        out.append({**load, "wait_store": steps["wait_store"], "last_plane": steps["last_plane"]})
        steps = {"wait_store": 0, "last_plane": 0}


def store_program(program: bytes) -> list[tuple[int, int, int]]:
    """(descriptors waited for, words, planes) of every store with words, in order."""
    at = int.from_bytes(program[4:6], "little") * WORD_BYTES
    out: list[tuple[int, int, int]] = []
    planes = 1
    while True:
        data = program[at:at + STORE_WORDS * WORD_BYTES]
        store = decode(STORE_FIELDS, data)
        at += STORE_WORDS * WORD_BYTES
        if store["steps"]:
            planes = decode(STORE_STEP_FIELDS, data)["last_plane"] + 1
            continue
        if store["words"]:
            out.append((store["wait_progress"], store["words"] * planes, planes))
        planes = 1
        if store["last"]:
            return out


@dataclass(frozen=True)
class _Segment:
    """A segment in load order: ``lines`` of the weight stream or 0; ``begins``, ``ends``: the run it belongs to."""

    beats: int
    kind: LoadKind
    lines: float
    wait_progress: int
    wait_store: int
    begins: bool
    ends: bool


class _Loader:
    """Load unit and channels: when the weight lines arrive. Segments are worked out as the compute side asks for them.

    Args:
        segments: in load order.
        begin: cycle of the first burst.
    """

    def __init__(self, frame: _Frame, segments: list[_Segment], begin: float) -> None:
        self.frame = frame
        self.channels = [begin] * frame.config.axi_ports
        self.segments, self.next, self.begin = segments, 0, begin
        self.dealt = 0  # segments given to channels
        self.words_free = begin  # activation memory takes one word a cycle from the load unit
        self.issued = begin  # when the load unit has handed out the last one
        self.line_ends: list[float] = []  # lines loaded behind each weight segment ...
        self.line_times: list[float] = []  # ... and when
        self.act_times: list[float] = []  # when each activation run has landed
        self.retired = begin
        self.lines = 0.0
        self.bytes = 0

    def _advance(self) -> None:
        segment = self.segments[self.next]
        self.next += 1
        if not segment.beats:  # skipped, in order
            self.act_times.append(self.retired)
            return
        beats, kind, lines, progress = segment.beats, segment.kind, segment.lines, segment.wait_progress
        channel = self.dealt % len(self.channels)
        self.dealt += 1
        constants, frame = self.frame.constants, self.frame
        self.issued += constants.segment_issue + (constants.load_issue if segment.begins else 0.0)
        start = max(self.channels[channel], self.issued)
        if kind is LoadKind.WEIGHTS:
            start = max(start, frame.freed_at(self.lines + lines - frame.network.ring_lines))
        if progress:
            start = max(start, frame.progress_at(progress))
        if segment.wait_store:
            start = max(start, frame.stores.complete(segment.wait_store))
        memory, config = frame.memory, frame.config
        active = 1 + sum(end > start for number, end in enumerate(self.channels) if number != channel)
        active += frame.stores.busy(start)
        rate = min(config.axi_bytes, memory.bytes_per_cycle / active)
        first = self.channels[channel] == self.begin or start > self.channels[channel]
        lead = memory.latency + constants.load_first if first else 0.0
        end = start + lead + (beats + constants.line_overhead) * config.axi_bytes / rate
        if kind is not LoadKind.WEIGHTS:
            begin = max(start + lead, self.words_free)
            end = max(end, begin + beats * config.axi_bytes / config.p_i)
            if constants.results_first:
                end = frame.behind_results(begin, end)
            self.words_free = end
        self.issued = max(self.issued, start - QUEUE * constants.segment_issue)
        self.channels[channel] = end
        check = 0.0 if kind is LoadKind.INPUT else constants.verify
        self.retired = max(self.retired, end + check)
        if kind is LoadKind.WEIGHTS:
            self.lines += lines
            self.bytes += beats * 16
            self.line_ends.append(self.lines)
            self.line_times.append(self.retired)
        elif segment.ends:
            self.act_times.append(self.retired)

    def line_time(self, lines: float) -> float:
        """When ``lines`` lines of the stream are there."""
        while not self.line_ends or self.line_ends[-1] < lines:
            if self.next >= len(self.segments):
                return self.retired
            self._advance()
        return self.line_times[bisect_left(self.line_ends, lines)]

    def act_time(self, count: int) -> float:
        """When ``count`` runs of input or activations have landed."""
        while len(self.act_times) < count and self.next < len(self.segments):
            self._advance()
        return self.act_times[count - 1] if len(self.act_times) >= count else self.retired


class _Stores:
    """The store unit: one store after the other, each behind the descriptors it waits for."""

    def __init__(self, frame: _Frame) -> None:
        self.frame = frame
        self.program = store_program(frame.network.program)
        self.begins: list[float] = []
        self.ends: list[float] = []

    def complete(self, count: int) -> float:
        """When ``count`` stores are in memory."""
        frame, config = self.frame, self.frame.config
        while len(self.ends) < count:
            progress, words, planes = self.program[len(self.ends)]
            start = max(frame.progress_at(progress), self.ends[-1] if self.ends else 0.0)
            cycles = words * config.p_i / min(config.axi_bytes, frame.memory.bytes_per_cycle)
            self.begins.append(start)
            self.ends.append(start + cycles + STORE_PLANE * (planes - 1))
        return self.ends[count - 1] + frame.memory.latency

    def busy(self, when: float) -> bool:
        """Whether a store that has been worked out is under way."""
        position = bisect_right(self.ends, when)
        return position < len(self.ends) and self.begins[position] <= when


class _Frame:
    """One frame."""

    def __init__(self, network: CompiledNetwork, memory: MemoryModel, constants: CycleConstants, *, warm: bool) -> None:
        self.network, self.memory, self.constants, self.warm = network, memory, constants, warm
        self.config: AcceleratorConfig = network.config
        self.latency = pipeline_latency(self.config)
        self.resident = warm and network.resident
        self.free_lines: list[float] = []
        self.free_times: list[float] = []
        self.retire_times: list[float] = []
        self.writing: list[tuple[float, float]] = []  # when results leave the array, by descriptor and output block
        self.writing_ends: list[float] = []
        self.stores = _Stores(self)

    def freed_at(self, lines: float) -> float:
        """When ``lines`` lines have been used for the last time."""
        if lines <= 0 or not self.free_lines:
            return 0.0
        position = bisect_left(self.free_lines, lines)
        return self.free_times[min(position, len(self.free_times) - 1)]

    def behind_results(self, begin: float, end: float) -> float:
        """End of an activation transfer that pauses while results are written."""
        for first, last in self.writing[bisect_right(self.writing_ends, begin):]:
            if first >= end:
                break
            end += last - max(first, begin)
        return end

    def progress_at(self, count: int) -> float:
        """When ``count`` compute descriptors have retired."""
        if count <= 0 or not self.retire_times:
            return 0.0
        return self.retire_times[min(count, len(self.retire_times)) - 1]

    def _segments(self) -> list[_Segment]:
        line_beats = self.config.line_bytes // 16
        out: list[_Segment] = []
        for load in load_program(self.network.program):
            kind = LoadKind(load["kind"])
            if self.resident and load["flags"] >> LoadFlag.RESIDENT & 1:
                if kind is LoadKind.ACTIVATIONS:
                    out.append(_Segment(0, kind, 0.0, 0, 0, begins=True, ends=True))
                continue
            full = 1 << load["segment_log2"]
            for plane in range(load["last_plane"] + 1):
                for at in range(0, load["beats"], full):
                    beats = min(full, load["beats"] - at)
                    lines = beats / line_beats if kind is LoadKind.WEIGHTS else 0.0
                    last = at + full >= load["beats"] and plane == load["last_plane"]
                    out.append(_Segment(beats, kind, lines, load["wait_progress"], load["wait_store"],
                                        begins=at == 0 and plane == 0, ends=last))
        return out

    def _program(self) -> float:
        """Start write to the program being there."""
        c, config = self.constants, self.config
        if self.warm:
            return c.start
        keys = c.key_setup if config.crypto is Crypto.GCM else 0.0
        run = self.network.runs[0]
        rate = min(config.axi_bytes, self.memory.bytes_per_cycle)
        transfer = run.stored_beats * config.axi_bytes / rate
        return c.start + keys + self.memory.latency + c.load_first + transfer + c.verify

    def run(self) -> Timeline:
        """Play the frame."""
        c, config = self.constants, self.config
        ready = self._program()
        loader = _Loader(self, self._segments(), ready)
        fetch_free = issue_free = ready + c.compute_start
        shadow_free = fetch_free
        spans: list[Span] = []
        was_pool: bool | None = None
        for d in self.network.descriptors:
            half = 2 if ComputeFlag.PAIR in d.flags else 1
            records, tile = config.param_lines // half, config.lines_per_tile // half
            interval = RAW_INTERVAL if ComputeFlag.RAW in d.flags else 1
            slots = d.step_slots * interval
            local = ComputeFlag.LOCAL_WEIGHTS in d.flags
            earliest = issue_free
            if ComputeFlag.DRAIN in d.flags or (was_pool is not None and was_pool != d.pool):
                earliest = max(earliest, issue_free - c.descriptor + self.latency + c.drain)
            was_pool = d.pool
            if d.wait_act:
                earliest = max(earliest, loader.act_time(d.wait_act))
            if d.wait_store:
                earliest = max(earliest, self.stores.complete(d.wait_store))
            start, waited, last_step = None, 0.0, (0.0, 0.0)
            sequence = float(d.weight_seq)
            issue = earliest
            built = self.progress_at(d.wait_progress) if local else 0.0
            for _ in range(d.blocks):
                sequence += records
                fetch_free = self._fetch(loader, fetch_free, records, sequence)
                if d.pool:
                    begin = max(issue, fetch_free)
                    waited += begin - issue
                    start = begin if start is None else start
                    issue = begin + slots
                for _ in range(d.steps):
                    begin_fetch = max(fetch_free, shadow_free, built)
                    if local:
                        fetch_free = begin_fetch + tile
                    else:
                        sequence += tile
                        fetch_free = self._fetch(loader, begin_fetch, tile, sequence)
                    begin = max(issue, fetch_free)
                    waited += begin - issue
                    start = begin if start is None else start
                    shadow_free = begin
                    issue = begin + max(slots, ACCUMULATOR_REVISIT)
                    last_step = (begin + self.latency, issue + self.latency)
                if d.steps:
                    self.writing.append(last_step)
                    self.writing_ends.append(last_step[1])
                if ComputeFlag.RELEASE in d.flags:
                    self.free_lines.append(sequence)
                    self.free_times.append(fetch_free)
            end = issue
            issued = float(d.slots * interval)
            begin_all = earliest if start is None else start
            spans.append(Span(node=d.node, start=begin_all, end=end, issue=issued, wait_weights=waited,
                              wait_other=max(0.0, earliest - (spans[-1].end if spans else earliest))))
            self.retire_times.append(end + self.latency)
            issue_free = end + c.descriptor - 1
        done = spans[-1].end + self.latency if spans else ready
        total = max(done, self.stores.complete(len(self.stores.program))) + c.store
        return Timeline(cycles=round(total), spans=tuple(spans),
                        loaded=tuple(zip(loader.line_times, _bytes(loader.line_ends, config), strict=True)))

    def _fetch(self, loader: _Loader, begin: float, lines: int, end_line: float) -> float:
        """Cycle in which the last of ``lines`` lines has been read."""
        end = begin + lines
        if self.resident or lines == 0:
            return end
        return max(end, loader.line_time(end_line) + 1)


def _bytes(lines: list[float], config: AcceleratorConfig) -> list[int]:
    return [int(n * config.line_bytes) for n in lines]


def descriptor_bytes(d: Descriptor, config: AcceleratorConfig) -> int:
    """Bytes of the weight stream that a descriptor uses."""
    return d.lines * d.blocks * config.line_bytes
