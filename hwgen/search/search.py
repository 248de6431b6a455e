"""The search: cost of every configuration at once, the Pareto front, the chosen point and why."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from functools import cache

import numpy as np

from hwgen.config.accelerator import AcceleratorConfig, RamStyle
from hwgen.config.board import Board
from hwgen.cost.activation import activation_words
from hwgen.cost.energy import energy_uj
from hwgen.cost.memory import MemoryModel
from hwgen.cost.network import NetworkCost, network_cost
from hwgen.cost.resources import NAMES, ResourceTable, estimate
from hwgen.cost.shared import Shared
from hwgen.cost.work import NetworkWork, network_work, with_encryption
from hwgen.errors import HwgenError
from hwgen.ir.nodes import Graph
from hwgen.passes.plan import TTChoice
from hwgen.seal import Selection
from hwgen.search.explain import amount, explain
from hwgen.search.objectives import Figures, Objective, objective
from hwgen.search.orders import Orders, choose_orders
from hwgen.search.pareto import pareto
from hwgen.search.refine import CANDIDATES, contenders, program_cycles, skeleton
from hwgen.search.result import Candidate, Evaluated, SearchResult
from hwgen.search.space import accumulator_width, config_table, window_units

#: entries of the front that are kept
FRONT = 40


def search(
    graph: Graph, board: Board, *, goal: str = "latency", base: AcceleratorConfig | None = None,
    encrypted: Collection[str] | Selection | None = None, engines: int | None = None, compiled: int = CANDIDATES,
) -> SearchResult:
    """The best configuration of the tensor engine, and the number of engines, for a float graph on a board.

    Args:
        goal: name of an objective.
        base: fields that are not searched (crypto, key size, protection of feature maps).
        encrypted: names of the float layers (or nodes) whose weights are stored encrypted, or a selection; None: all.
        engines: only designs with so many; None: the search chooses. At most as many as the board has ports.
        compiled: how many of the best candidates are compiled for their program's cycles; 0: the model decides alone.

    Raises:
        HwgenError: no configuration fits; names the binding resource, what is needed and what the board has.
    """
    aim = objective(goal)
    base = (base or AcceleratorConfig()).replace(
        packing=board.packing, clock_mhz=board.clock_mhz,
        weight_ram=RamStyle.ULTRA if board.resources.uram else RamStyle.BLOCK)
    network = with_encryption(network_work(graph), encrypted)
    acc_bits = accumulator_width(graph, board.packing)
    start = time.perf_counter()
    words = cache(lambda p_i, beside, buffered: activation_words(
        network, p_i, beside=beside, buffered=buffered))
    if engines is None and not aim.several:
        engines = 1
    table = config_table(board, words, window_units(network), acc_bits=acc_bits, engines=engines,
                         protected=base.protect_activations, key_bits=base.aes_key_bits)
    cost = network_cost(network, table, MemoryModel.of(board), board.packing)
    shared = Shared.of(network, table, cost, MemoryModel.of(board), board.packing)
    table = replace(table, program_words=_program_words(cost))
    resources = estimate(table, board, key_bits=base.aes_key_bits)
    figures = _figures(cost, shared.interval, resources, board, network.macs)
    found = Evaluated(table, cost, resources, figures,
                      resources.fits(board.resources) & cost.possible, board, base)
    if not found.fits.any():
        raise _infeasible(found)
    feasible = np.flatnonzero(found.fits)
    known = _compiled(found, _contenders(found, feasible, aim, compiled), aim, _Source(graph, network, encrypted))
    if known:
        winner = _smallest(found, np.array(list(known)), np.array([one.value for one in known.values()]), aim)
        winner, faster = _unhindered(found, winner, known, aim, _Source(graph, network, encrypted))
        known.update(faster)
    else:
        winner, faster = _winner(found, feasible, aim), {}
    values = np.stack([cost.cold, cost.steady, shared.interval, resources.dsp, resources.bram36, resources.lut,
                       found.figures.energy])
    front = feasible[pareto(values[:, feasible].T)]
    front = np.union1d(front, np.array(list(known), np.int64))
    order = aim.value(found.figures)
    order[list(known)] = [one.value for one in known.values()]
    front = front[np.argsort(order[front], kind="stable")]
    front = front[front != winner][:FRONT - 1]
    if winner in known:
        chosen, choices = known[winner].candidate, known[winner].choices
    else:
        orders = _orders(found, network, winner, aim)
        chosen, choices = _ordered(found, winner, orders, network.macs), orders.choices
    seconds = time.perf_counter() - start
    return SearchResult(
        chosen=chosen, choices=choices,
        front=(chosen, *(known[i].candidate if i in known else found.candidate(i) for i in map(int, front))),
        considered=len(table), feasible=len(feasible), seconds=round(seconds, 4),
        explanation=explain(found, winner, aim, seconds, {row: one.value for row, one in known.items()},
                            faster=len(faster)))


@dataclass(frozen=True)
class _Compiled:
    """A candidate whose program was compiled; value: of the objective."""

    candidate: Candidate
    choices: dict[str, TTChoice]
    value: float


def _contenders(found: Evaluated, feasible: np.ndarray, aim: Objective, limit: int) -> list[int]:
    """The best row of every kind of configuration that is worth compiling."""
    if not limit:
        return []
    return [_winner(found, np.sort(rows), aim)
            for rows in contenders(found.table, feasible, aim.value(found.figures)[feasible], limit)]


@dataclass(frozen=True)
class _Source:
    """What is compiled."""

    graph: Graph
    network: NetworkWork
    encrypted: Collection[str] | Selection | None


def _compiled(found: Evaluated, rows: Collection[int], aim: Objective, source: _Source) -> dict[int, _Compiled]:
    """Candidates by row, with the cycles of their programs; those whose program cannot be made are left out."""
    skeletons: dict[tuple[tuple[str, TTChoice], ...], Graph] = {}
    memory, out, network = MemoryModel.of(found.board), {}, source.network
    for row in rows:
        orders = _orders(found, network, row, aim)
        modelled = _ordered(found, row, orders, network.macs)
        key = tuple(orders.choices.items())
        if key not in skeletons:
            skeletons[key] = skeleton(source.graph, orders.choices)
        cycles = program_cycles(skeletons[key], modelled.system, memory, source.encrypted)
        if cycles is None:
            continue
        engines = modelled.engines
        shared = np.array([cycles.interval * engines])
        cold = np.array([cycles.cold]) if engines == 1 else orders.cost.cold
        one = _one(found, row, replace(orders.cost, cold=cold, steady=shared), network.macs)
        candidate = replace(
            modelled, cold_cycles=cycles.cold, steady_cycles=cycles.steady, interval_cycles=round(cycles.interval),
            energy_uj=round(float(one.energy[0]), 2), compiled=True)
        out[row] = _Compiled(candidate, orders.choices, float(aim.value(one)[0]))
    return out


def _unhindered(found: Evaluated, winner: int, known: dict[int, _Compiled], aim: Objective, source: _Source,
                ) -> tuple[int, dict[int, _Compiled]]:
    """The winner, unless its decryptors hold the weights up by more than the objective's tolerance: then the smallest
    of its twins with faster ciphers whose do not; and the twins, compiled.

    The model averages over the weights of an operation; where only some are encrypted, their programs decide.
    """
    table = found.table
    twins = found.fits & (table.aes_cycles < table.aes_cycles[winner])
    own, spill = (int(column[winner]) for column in (table.aes_cycles, table.spill_aes_cycles))
    twins &= (table.spill_aes_cycles == spill) | ((spill == own) & (table.spill_aes_cycles == table.aes_cycles))
    for field in fields(table):
        if field.name not in ("aes_cycles", "spill_aes_cycles"):
            column = getattr(table, field.name)
            twins &= column == column[winner]
    faster = _compiled(found, [int(row) for row in np.flatnonzero(twins) if row not in known], aim, source)
    values = {row: {**known, **faster}[row].value for row in (winner, *map(int, np.flatnonzero(twins)))
              if row in faster or row in known}
    limit = min(values.values()) * (1 + aim.tolerance)
    good = [row for row, value in values.items() if value <= limit]
    return max(good, key=lambda row: (int(table.aes_cycles[row]), int(table.spill_aes_cycles[row]))), faster


def _ordered(found: Evaluated, row: int, orders: Orders, macs: int) -> Candidate:
    """Configuration ``row`` with the figures of the orders that were chosen for it."""
    out, one = found.candidate(row), _one(found, row, orders.cost, macs)
    out = replace(out, interval_cycles=round(float(one.interval[0])), energy_uj=round(float(one.energy[0]), 2))
    if out.engines > 1:  # the orders were chosen for the memory that each engine has while all are at work
        return out
    cold, steady = round(float(one.cold[0])), round(float(one.steady[0]))
    return replace(out, cold_cycles=cold, steady_cycles=steady, model_cold_cycles=cold, model_steady_cycles=steady)


def _one(found: Evaluated, row: int, cost: NetworkCost, macs: int) -> Figures:
    """Figures of configuration ``row`` with another cost of the network (one row)."""
    interval = cost.steady / found.table.engines[row]
    energy = energy_uj(macs=macs, dram_bytes=cost.dram_bytes_steady, cycles=interval,
                       clock_mhz=found.board.clock_mhz, lut=found.resources.lut[[row]])
    return Figures(cold=cost.cold, steady=cost.steady, interval=interval, energy=energy,
                   share=found.figures.share[[row]])


def _orders(found: Evaluated, network: NetworkWork, row: int, aim: Objective) -> Orders:
    """How the TT layers execute on configuration ``row``: all together by the objective."""
    one = found.table.take(np.array([row]))

    def value(cost: NetworkCost) -> float:
        runs = bool(cost.possible[0]) and int(_program_words(cost)[0]) <= int(one.program_words[0])
        return float(aim.value(_one(found, row, cost, network.macs))[0]) if runs else np.inf

    memory = MemoryModel.of(found.board).share(int(one.engines[0]))
    return choose_orders(network, one, memory, found.board.packing, value)


def _program_words(cost: NetworkCost) -> np.ndarray:
    """Program memory for the descriptors and an allowance for loads and stores, a power of two."""
    # strips cut the pixel tiles once more, and every transfer takes a step descriptor and its own
    words = np.where(cost.transfers > 0, 12 * cost.descriptors + 8 * cost.transfers, 6 * cost.descriptors) + 160
    return np.maximum(1024, 2 ** np.ceil(np.log2(words)).astype(np.int64))


def _figures(cost: NetworkCost, interval: np.ndarray, resources: ResourceTable, board: Board, macs: int) -> Figures:
    have = board.resources.to_dict()
    shares = [getattr(resources, n) / have[n] for n in NAMES if n != "uram" and have[n]]
    energy = energy_uj(macs=macs, dram_bytes=cost.dram_bytes_steady, cycles=interval, clock_mhz=board.clock_mhz,
                       lut=resources.lut)
    return Figures(cold=cost.cold, steady=cost.steady, interval=interval, energy=energy, share=np.max(shares, axis=0))


def _winner(found: Evaluated, feasible: np.ndarray, aim: Objective) -> int:
    """The best row of ``feasible`` by the model."""
    return _smallest(found, feasible, aim.value(found.figures)[feasible], aim)


def _smallest(found: Evaluated, rows: np.ndarray, values: np.ndarray, aim: Objective) -> int:
    """Best by the objective's ``values``; within its tolerance the smallest, then the one with most weight memory.

    What is still equal is decided by the sum of all resources' shares, so that a decryptor for example is no faster
    than it must be, and then by the objective.
    """
    near = values <= values.min() * (1 + aim.tolerance)
    good, values = rows[near], values[near]
    memory = found.table.weight_lines[good] * found.table.line_bytes[good]
    have = found.board.resources.to_dict()
    total = np.sum([getattr(found.resources, n)[good] / have[n] for n in NAMES if have[n]], axis=0)
    order = np.lexsort((values, np.round(total, 4), -memory,
                        np.round(found.figures.share[good], 4)))
    return int(good[order[0]])


def _infeasible(found: Evaluated) -> HwgenError:
    """The error for a board that no configuration fits: the binding resource of the one that comes closest."""
    if found.resources.fits(found.board.resources).any():
        return HwgenError("no configuration that fits has room for the smallest strips of the feature maps",
                          where=f"board {found.board.name}", hint="a larger board, or a smaller network or input")
    ratios = np.stack([
        np.where(getattr(found.resources, n) > getattr(found.board.resources, n),
                 getattr(found.resources, n) / max(getattr(found.board.resources, n), 1e-9), 0) for n in NAMES])
    closest = int(np.argmin(ratios.max(axis=0)))
    need = found.resources.row(closest)
    short = need.shortfall(found.board.resources)
    assert short is not None
    name, needed, available = short
    label = {"bram36": "BRAM36", "dsp": "DSP", "uram": "URAM", "lut": "LUT", "ff": "FF"}[name]
    config = found.table.config(closest, found.base)
    return HwgenError(
        f"no configuration fits: the one that comes closest ({config.p_i} x {config.p_o} array) needs {amount(needed)} "
        f"{label}, {found.board.name} has {amount(available)} (short by {amount(needed - available)})",
        where=f"board {found.board.name}", hint="a larger board, or a smaller network or input")
