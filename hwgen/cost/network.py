"""Analytic cycles of a whole network, cold and following frame, for many configurations at once."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields, replace

import numpy as np

from hwgen.config.accelerator import DspPacking
from hwgen.cost.activation import activation_words
from hwgen.cost.arrays import ConfigTable
from hwgen.cost.constants import CYCLES, CycleConstants
from hwgen.cost.cycles import WorkCost, ceil_div, drains, folds_input, pipeline_latencies, work_cost
from hwgen.cost.decryptor import encrypted_rate
from hwgen.cost.spill import NOTHING, spill
from hwgen.cost.timeline import MemoryModel
from hwgen.cost.work import NetworkWork, Variant, Work
from hwgen.passes.plan import TTChoice

#: pieces in which the compiler lets the input come, so that the first layer starts early
INPUT_PIECES = 4
#: pieces in which an operation is followed whose weights are more than an eighth of the ring
STREAM_PIECES = 4
#: bytes of a segment: the ring takes a whole one or none
SEGMENT_BYTES = 16384
#: strips in which a map comes that does not fit on the chip
STRIPS = 16
#: fields that decide the cycles of an operation whose weights are there
_SHAPE = ("p_i", "p_o", "acc_depth", "line_columns", "axi_ports", "aes_cycles", "act_words")


@dataclass(frozen=True, kw_only=True)
class NetworkCost:
    """Cost of a network; arrays [N].

    Args:
        cold, steady: predicted cycles of a cold frame and of a following one.
        compute: of ``steady``, what the array's program takes.
        lines: of the weight stream.
        dram_bytes_cold, dram_bytes_steady: bytes that cross the memory ports per frame.
        descriptors: compute descriptors of the program.
        transfers: loads and stores of strips.
        spilled_bytes: of the bytes per frame, feature maps that do not fit on the chip.
        possible: activation memory holds at least the smallest strips.
        choices: TT layer -> number of its variant, [N].
    """

    cold: np.ndarray
    steady: np.ndarray
    compute: np.ndarray
    lines: np.ndarray
    dram_bytes_cold: np.ndarray
    dram_bytes_steady: np.ndarray
    descriptors: np.ndarray
    transfers: np.ndarray
    spilled_bytes: np.ndarray
    possible: np.ndarray
    choices: dict[str, np.ndarray]

    def choice(self, network: NetworkWork, row: int) -> dict[str, TTChoice]:
        """How every TT layer executes on configuration ``row``."""
        return {name: network.variants[name][int(number[row])].choice for name, number in self.choices.items()}


@dataclass(frozen=True)
class _Sequence:
    """Operations in order: cycles, weight lines, slots of the last step, descriptors; [operations, configurations].
    ``secret`` [operations]: 1 where the weights are encrypted, otherwise 0."""

    cycles: np.ndarray
    lines: np.ndarray
    last: np.ndarray
    descriptors: np.ndarray
    secret: np.ndarray

    def pieces(self, lines: float) -> _Sequence:
        """Operations with more than ``lines`` weight lines on some configuration in ``STREAM_PIECES`` equal pieces."""
        parts = np.where(self.lines.max(axis=1, initial=0) > lines, STREAM_PIECES, 1)
        ends = np.cumsum(parts) - 1
        cycles, own, descriptors = (np.repeat(a / parts[:, None], parts, axis=0)
                                    for a in (self.cycles, self.lines, self.descriptors))
        last = np.zeros_like(cycles)
        last[ends] = self.last
        return _Sequence(cycles, own, last, descriptors, np.repeat(self.secret, parts))

    def take(self, row: np.ndarray) -> _Sequence:
        """The columns at ``row``."""
        return _Sequence(self.cycles[:, row], self.lines[:, row], self.last[:, row], self.descriptors[:, row],
                         self.secret)


def network_cost(network: NetworkWork, table: ConfigTable, memory: MemoryModel, packing: DspPacking,
                 constants: CycleConstants = CYCLES, *, encrypted: Collection[str] | None = None) -> NetworkCost:
    """Predicted cost of ``network`` on every row of ``table``.

    Args:
        encrypted: names of the nodes or float layers whose weights are stored encrypted; None: all.
    """
    distinct, back = table.unique((*_SHAPE, "weight_lines"))
    cost = _distinct_cost(network, distinct, memory, packing, constants, encrypted=encrypted)
    columns = {f.name: getattr(cost, f.name)[back] for f in fields(cost) if f.name != "choices"}
    return NetworkCost(**columns, choices={name: number[back] for name, number in cost.choices.items()})


def _distinct_cost(network: NetworkWork, table: ConfigTable, memory: MemoryModel, packing: DspPacking,
                   constants: CycleConstants, *, encrypted: Collection[str] | None) -> NetworkCost:
    shapes, row = table.unique(_SHAPE)
    rate = np.minimum(shapes.axi_ports * 16.0, memory.bytes_per_cycle)
    rates = np.stack([rate, encrypted_rate(shapes, memory.bytes_per_cycle)])
    costs = _Costs(shapes, constants)
    spills = _Spills(network, shapes)
    chosen = {name: _choose(variants, costs, rates[int(encrypted is None or name in encrypted)])
              for name, variants in network.variants.items()}
    sequence = _sequence(network, costs, chosen, packing, spilled=spills.bytes, rate=rate, encrypted=encrypted)
    input_bytes = _input_bytes(network, shapes)
    output_bytes = np.full(len(shapes), network.output_values * 4.0)

    sequence = sequence.take(row)
    rate, rates, input_bytes, output_bytes = rate[row], rates[:, row], input_bytes[row], output_bytes[row]
    total_lines = sequence.lines.sum(axis=0)
    resident = total_lines <= table.weight_lines
    port = min(16.0, memory.bytes_per_cycle)
    finish = pipeline_latencies(table, packing) + output_bytes / port + memory.latency + constants.store
    start = constants.start + memory.latency + constants.load_first
    program_bytes = 16.0 * (8 * len(sequence.cycles) + 40)
    program_rate = port if encrypted is not None and not encrypted else np.minimum(port, rates[1])
    ready = start + constants.key_setup + program_bytes / program_rate + constants.verify
    lead = memory.latency + constants.load_first
    landed = input_bytes / np.minimum(rate, table.p_i)  # activation memory takes one word a cycle
    landed = np.maximum(landed / INPUT_PIECES, landed - _input_overlap(network, costs)[row])
    landed = np.where(spills.input_in_strips[row], landed / STRIPS, landed)
    spilled = spills.total[row]

    per_line = table.line_bytes * (1 + 1 / 1024) / rates
    ring = table.weight_lines - SEGMENT_BYTES / table.line_bytes
    cold = finish + _flow(sequence, ring, per_line, ready + lead + landed, ready + lead + constants.verify)
    compute = sequence.cycles.sum(axis=0)
    steady = start + landed + compute + finish
    again = np.flatnonzero(~resident)
    if again.size:
        from_cycle = (start + landed)[again]
        refill = _flow(sequence.take(again), ring[again], per_line[:, again], from_cycle, start + constants.verify)
        steady[again] = finish[again] + refill
    stream = total_lines * table.line_bytes
    return NetworkCost(
        cold=cold, steady=steady, compute=compute, lines=total_lines,
        dram_bytes_cold=stream + program_bytes + input_bytes + output_bytes + spilled,
        dram_bytes_steady=np.where(resident, 0.0, stream) + input_bytes + output_bytes + spilled,
        descriptors=sequence.descriptors.sum(axis=0), transfers=spills.transfers[row], spilled_bytes=spilled,
        possible=spills.possible[row],
        choices={name: number[row] for name, number in chosen.items()},
    )


class _Spills:
    """Spilled feature maps of every shape: per operation, and in total; [N] each."""

    def __init__(self, network: NetworkWork, shapes: ConfigTable) -> None:
        sizes, row = np.unique(np.stack([shapes.p_i, shapes.act_words]), axis=1, return_inverse=True)
        row = row.reshape(-1)
        need = {int(p_i): activation_words(network, int(p_i)) for p_i in np.unique(sizes[0])}
        found = [spill(network, int(p_i), int(words)) if need[int(p_i)] > words else NOTHING for p_i, words in sizes.T]
        names = {name for one in found for name in one.bytes}
        self.bytes = {name: np.array([one.bytes.get(name, 0.0) for one in found])[row] for name in names}
        self.total = np.array([one.total for one in found])[row]
        self.transfers = np.array([one.transfers for one in found])[row]
        self.possible = np.array([one.possible for one in found])[row]
        self.input_in_strips = np.array([one.input_in_strips for one in found])[row]


class _Costs:
    """Costs of operations on one table; operations of equal size are worked out once."""

    def __init__(self, shapes: ConfigTable, constants: CycleConstants) -> None:
        self.shapes, self._constants = shapes, constants
        self._known: dict[Work, WorkCost] = {}

    def of(self, work: Work) -> WorkCost:
        """Cost of ``work``."""
        sizes = replace(work, name="", origin="", reads=(), writes="", macs=0)
        if sizes not in self._known:
            self._known[sizes] = work_cost(sizes, self.shapes, self._constants)
        return self._known[sizes]


def _choose(variants: tuple[Variant, ...], known: _Costs, rate: np.ndarray) -> np.ndarray:
    """The variant with the fewest cycles on every shape, counting its weights' transfer where that is longer."""
    shapes = known.shapes
    best = np.zeros(len(shapes), np.int64)
    least = np.full(len(shapes), np.inf)
    for number, variant in enumerate(variants):
        costs = [known.of(w) for w in variant.works]
        compute = np.sum([c.cycles for c in costs], axis=0)
        transfer = np.sum([c.lines for c in costs], axis=0) * shapes.line_bytes / rate
        total = np.maximum(compute, transfer)
        better = total < least
        best, least = np.where(better, number, best), np.where(better, total, least)
    return best


def _sequence(
    network: NetworkWork, known: _Costs, chosen: dict[str, np.ndarray], packing: DspPacking, *,
    spilled: dict[str, np.ndarray], rate: np.ndarray, encrypted: Collection[str] | None,
) -> _Sequence:
    """Every operation that any shape uses, with zero cost where another variant is chosen there."""
    shapes = known.shapes
    columns: tuple[list[np.ndarray], ...] = ([], [], [], [])
    secret: list[int] = []
    latency = pipeline_latencies(shapes, packing).astype(np.float64)
    done: set[str] = set()
    before: tuple[Work, WorkCost] | None = None

    def add(work: Work, used: np.ndarray | None) -> None:
        nonlocal before
        cost = known.of(work)
        cycles = cost.cycles
        if work.name in spilled:  # strips come and go while others are computed
            cycles = np.maximum(cycles, spilled[work.name] / rate)
        if before is not None:
            wait = np.full(len(shapes), before[0].pool != work.pool)
            if before[0].writes in work.reads:
                wait = wait | drains(before[1], ceil_div(before[0].channels_out, shapes.p_i), cost, work, latency)
            cycles = cycles + wait * latency
        mask = 1.0 if used is None else used.astype(np.float64)
        for column, values in zip(columns, (cycles, cost.lines, cost.last_slots, cost.descriptors), strict=True):
            column.append(values * mask)
        secret.append(int(encrypted is None or work.name in encrypted or work.origin in encrypted))
        before = work, cost

    for work in network.works:
        if work.origin not in network.variants:
            add(work, None)
        elif work.origin not in done:
            done.add(work.origin)
            for number, variant in enumerate(network.variants[work.origin]):
                used = chosen[work.origin] == number
                if used.any():
                    for own in variant.works:
                        add(own, used)
    cycles, lines, last, descriptors = (np.stack(column) for column in columns)
    return _Sequence(cycles, lines, last, descriptors, np.array(secret))


def _input_overlap(network: NetworkWork, known: _Costs) -> np.ndarray:
    """Cycles of the first layer in which it writes no results, so that the rest of the input can come in."""
    first = network.works[0]
    if not first.from_input or first.pool:
        return np.zeros(len(known.shapes))
    cost = known.of(first)
    return cost.cycles * (1 - 1 / np.maximum(cost.steps, 1))


def _input_bytes(network: NetworkWork, shapes: ConfigTable) -> np.ndarray:
    channels, height, width = network.input_shape if len(network.input_shape) == 3 else (*network.input_shape, 1, 1)
    words = ceil_div(channels, shapes.p_i) * height * width
    readers = [w for w in network.works if w.from_input]
    if readers and not readers[0].pool:
        first = readers[0]
        folded = ceil_div(first.channels_in * first.kernel[0] * first.kernel[1], shapes.p_i) * first.pixels
        words = np.where(folds_input(first, shapes), folded, words)
    return (words * shapes.p_i).astype(np.float64)


def _flow(
    sequence: _Sequence, ring: np.ndarray, per_line: np.ndarray, begin: np.ndarray, load: np.ndarray | float
) -> np.ndarray:
    """Cycle in which the last operation ends when its weights stream through the ring.

    An operation ends when it has been computed and its last weights have come; the weights of line n come once line
    n - ring has been used. Within an operation, use is taken as linear in time.

    Args:
        ring: lines of the ring; per_line: cycles that the transfer of a plain and of an encrypted line takes, [2, N].
        begin: cycle in which the first operation may start; load: in which the first line is there.
    """
    streaming = sequence.lines.sum(axis=0) > ring
    if streaming.any():
        out = np.empty(len(ring))
        load_rows = np.broadcast_to(load, ring.shape)
        for streams, part in ((True, np.flatnonzero(streaming)), (False, np.flatnonzero(~streaming))):
            if part.size:
                own = sequence.take(part)
                own = own.pieces(ring[part].min() / 8) if streams else own
                out[part] = _play(own, ring[part], per_line[:, part], begin[part], load_rows[part])
        return out
    return _play(sequence, ring, per_line, begin, load)


def _play(
    sequence: _Sequence, ring: np.ndarray, per_line: np.ndarray, begin: np.ndarray, load: np.ndarray | float
) -> np.ndarray:
    """``_flow`` where the weights of all configurations fit into the ring, or those of none."""
    count, rows = len(sequence.cycles), np.arange(len(ring))
    end, loaded = np.broadcast_to(begin, ring.shape), np.broadcast_to(load, ring.shape)
    used = np.cumsum(sequence.lines, axis=0)
    transfer = sequence.lines * per_line[sequence.secret]
    streams = bool((used[-1] > ring).any())
    starts, ends = (np.empty((count, len(ring))) if streams else None for _ in range(2))
    pointer = np.zeros(len(ring), np.int64)  # operation whose end makes room
    room: np.ndarray | float = 0.0
    for k in range(count):
        before = room  # when there was room for all earlier weights, and so for the first of these
        need = used[k] - ring
        if starts is not None and ends is not None and k and bool((need > 0).any()):
            while True:
                behind = (used[pointer, rows] < need) & (pointer < k - 1)
                if not behind.any():
                    break
                pointer += behind
            own = np.maximum(sequence.lines[pointer, rows], 1)
            share = np.clip(1 - (used[pointer, rows] - need) / own, 0, 1)
            when = starts[pointer, rows] + share * (ends[pointer, rows] - starts[pointer, rows])
            room = np.where(need > 0, when, 0.0)
        loaded = np.maximum(np.maximum(loaded, before) + transfer[k], room)
        arrived = np.where(sequence.lines[k] > 0, loaded + sequence.last[k], 0.0)
        begin_k, end = end, np.maximum(end + sequence.cycles[k], arrived)
        if starts is not None and ends is not None:
            starts[k], ends[k] = begin_k, end
    return end
