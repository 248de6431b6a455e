"""Analytic cycles of a whole network, cold and following frame, for many configurations at once."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cache

import numpy as np

from hwgen.config.accelerator import DspPacking
from hwgen.cost.activation import activation_words
from hwgen.cost.arrays import ConfigTable
from hwgen.cost.beside import Beside, window_work
from hwgen.cost.constants import CYCLES, CycleConstants
from hwgen.cost.cycles import WorkCost, ceil_div, drains, folds_input, pipeline_latencies, work_cost
from hwgen.cost.decryptor import encrypted_rate, keystream_cycles
from hwgen.cost.flow import Sequence, WeightStream, flow
from hwgen.cost.memory import MemoryModel
from hwgen.cost.spill import NOTHING, spill
from hwgen.cost.strips import StripTable, Surroundings
from hwgen.cost.work import NetworkWork, Variant, Work

#: pieces in which the compiler lets the input come, so that the first layer starts early
INPUT_PIECES = 4
#: bytes of a segment: the ring takes a whole one or none
SEGMENT_BYTES = 16384
#: strips in which a map comes that does not fit on the chip
STRIPS = 16
#: fields that decide the cycles of an operation whose weights are there
_SHAPE = ("p_i", "p_o", "acc_depth", "line_columns", "axi_ports", "aes_cycles", "spill_aes_cycles",
          "act_words", "window", "window_kernel", "window_width")


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


def network_cost(network: NetworkWork, table: ConfigTable, memory: MemoryModel, packing: DspPacking,
                 constants: CycleConstants = CYCLES) -> NetworkCost:
    """Predicted cost of ``network`` on every row of ``table``."""
    distinct, back = table.unique((*_SHAPE, "weight_lines"))
    cost = _distinct_cost(network, distinct, memory, packing, constants)
    columns = {f.name: getattr(cost, f.name)[back] for f in fields(cost) if f.name != "choices"}
    return NetworkCost(**columns, choices={name: number[back] for name, number in cost.choices.items()})


def _distinct_cost(network: NetworkWork, table: ConfigTable, memory: MemoryModel, packing: DspPacking,
                   constants: CycleConstants) -> NetworkCost:
    shapes, row = table.unique(_SHAPE)
    rate = np.minimum(shapes.axi_ports * 16.0, memory.bytes_per_cycle)
    secret_rate = encrypted_rate(shapes, memory.bytes_per_cycle)
    cipher_rate, keystream = encrypted_rate(table, np.inf), keystream_cycles(table)
    costs = _Costs(shapes, constants)
    spills = _Spills(network, shapes)
    chosen = {name: _choose(variants, costs, secret_rate if variants[0].works[0].encrypted else rate)
              for name, variants in network.variants.items()}
    sequence = _sequence(network, costs, chosen, packing, strips=spills.strips, memory=memory, constants=constants)
    input_bytes = _input_bytes(network, shapes)
    output_bytes = np.full(len(shapes), network.output_values * 4.0)

    sequence = sequence.take(row)
    rate, secret_rate, input_bytes, output_bytes = rate[row], secret_rate[row], input_bytes[row], output_bytes[row]
    total_lines = sequence.lines.sum(axis=0)
    resident = total_lines <= table.weight_lines
    port = min(16.0, memory.bytes_per_cycle)
    finish = (pipeline_latencies(table, packing) + output_bytes / port + memory.write_latency + constants.store_lead
              + constants.answer + constants.finish)
    lead = memory.latency + constants.request + constants.landed
    start = constants.start + constants.fetch + lead
    program_bytes = 16.0 * (8 * len(sequence.cycles) + 40)
    program_rate = np.minimum(port, secret_rate) if all(w.encrypted or w.pool for w in network.works) else port
    ready = start + constants.key_setup + program_bytes / program_rate + constants.verify
    landed = input_bytes / np.minimum(rate, table.p_i)  # activation memory takes one word a cycle
    landed = np.maximum(landed / INPUT_PIECES, landed - _input_overlap(network, costs)[row])
    landed = np.where(spills.input_in_strips[row], landed / STRIPS, landed)
    spilled = spills.total[row]

    stored_line = table.line_bytes * (1 + 1 / 1024)
    ring = table.weight_lines - SEGMENT_BYTES / table.line_bytes
    stream = WeightStream(shape=row, ring=ring, per_line=stored_line / rate, per_secret_line=stored_line / cipher_rate,
                          keystream=keystream,
                          begin=ready + lead + landed,
                          load=np.broadcast_to(ready + lead + constants.verify, ring.shape))
    cold = finish + flow(sequence, stream)
    compute = sequence.cycles.sum(axis=0)
    steady = start + landed + compute + finish
    again = np.flatnonzero(~resident)
    if again.size:
        refill = replace(stream, begin=start + landed, load=np.broadcast_to(start + constants.verify, ring.shape))
        steady[again] = finish[again] + flow(sequence.take(again), refill.take(again))
    streamed = total_lines * table.line_bytes
    return NetworkCost(
        cold=cold, steady=steady, compute=compute, lines=total_lines,
        dram_bytes_cold=streamed + program_bytes + input_bytes + output_bytes + spilled,
        dram_bytes_steady=np.where(resident, 0.0, streamed) + input_bytes + output_bytes + spilled,
        descriptors=sequence.descriptors.sum(axis=0), transfers=spills.transfers[row], spilled_bytes=spilled,
        possible=spills.possible[row],
        choices={name: number[row] for name, number in chosen.items()},
    )


class _Spills:
    """Spilled feature maps of every shape: per operation, and in total; [N] each."""

    def __init__(self, network: NetworkWork, shapes: ConfigTable) -> None:
        units = (shapes.window > 0).astype(np.int64)
        sizes, row = np.unique(np.stack([shapes.p_i, shapes.act_words, units]), axis=1, return_inverse=True)
        row = row.reshape(-1)
        need = cache(lambda p_i, unit: min(
            activation_words(network, p_i, beside=buffered, buffered=buffered) for buffered in {False, bool(unit)}))
        found = [spill(network, int(p_i), int(words)) if need(int(p_i), int(unit)) > words else NOTHING
                 for p_i, words, unit in sizes.T]
        names = {name for one in found for name in one.strips}
        self.strips = {name: StripTable.of([one.strips.get(name) for one in found]).take(row) for name in names}
        self.total = np.array([one.total for one in found])[row]
        self.total = self.total + 16 * shapes.protected * np.array([one.rows for one in found])[row]
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
        sizes = replace(work, name="", origin="", reads=(), writes="", macs=0, encrypted=True)
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
        if any(w.local for w in variant.works):  # the compiler contracts on the chip only where there is a pair shape
            total = np.where(shapes.p_o == 2 * shapes.p_i, total, np.inf)
        better = total < least
        best, least = np.where(better, number, best), np.where(better, total, least)
    return best


def _sequence(
    network: NetworkWork, known: _Costs, chosen: dict[str, np.ndarray], packing: DspPacking, *,
    strips: dict[str, StripTable], memory: MemoryModel, constants: CycleConstants,
) -> Sequence:
    """Every operation that any shape uses, with zero cost where another variant is chosen there.

    Contractions on the chip stand before the producer of their convolution's input, where the compiler puts them.
    """
    shapes = known.shapes
    columns: tuple[list[np.ndarray], ...] = ([], [], [], [])
    encrypted: list[bool] = []
    latency = pipeline_latencies(shapes, packing).astype(np.float64)
    beside = window_work(network, shapes, known.of, latency=latency, constants=constants,
                         spilled={name: one.used for name, one in strips.items()})
    surroundings = Surroundings(shapes, memory, latency, constants)
    done: set[str] = set()
    before: tuple[Work, WorkCost, np.ndarray] | None = None
    written: list[str] = []  # by each column

    def place(work: Work, source: str) -> int:
        if work.contraction is None or source not in written:
            return len(written)
        return len(written) - 1 - written[::-1].index(source)

    def add(work: Work, used: np.ndarray | None, at: int, own: Beside | None = None) -> None:
        nonlocal before
        cost = known.of(work)
        cycles, lines, last, descriptors = cost.cycles, cost.lines, cost.last_slots, cost.descriptors
        outside = np.zeros(len(shapes), bool) if own is None else own.usable
        if own is not None:
            cycles, lines, last, descriptors = (
                np.where(own.usable, a, b) for a, b in (
                    (own.more, cycles), (own.cost.lines, lines), (own.cost.last_slots, last),
                    (own.cost.descriptors + own.descriptors, descriptors)))
        if work.name in strips:
            cycles = strips[work.name].cycles(cycles, cost.steps, surroundings)
            descriptors = np.maximum(descriptors, strips[work.name].count)
        if before is not None and work.contraction is None:
            wait = np.full(len(shapes), before[0].pool != work.pool)
            if before[0].writes in work.reads:
                wait = wait | drains(before[1], ceil_div(before[0].channels_out, shapes.p_i), cost, work, latency)
            cycles = cycles + wait * latency * ~(outside | before[2])
        mask = 1.0 if used is None else used.astype(np.float64)
        for column, values in zip(columns, (cycles, lines, last, descriptors), strict=True):
            column.insert(at, values * mask)
        written.insert(at, work.writes)
        encrypted.insert(at, work.encrypted)
        if work.contraction is None:
            before = work, cost, outside

    for index, work in enumerate(network.works):
        if work.origin not in network.variants:
            add(work, None, len(written), beside.get(index))
        elif work.origin not in done:
            done.add(work.origin)
            for number, variant in enumerate(network.variants[work.origin]):
                used = chosen[work.origin] == number
                if used.any():
                    for position, own in enumerate(variant.works):
                        user = next(w for w in variant.works[position:] if w.contraction is None)
                        add(own, used, place(own, user.reads[0]))
    cycles, lines, last, descriptors = (np.stack(column) for column in columns)
    return Sequence(cycles, lines, last, descriptors, np.array(encrypted))


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
