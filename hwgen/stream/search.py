"""The best pipeline of a board for a network, before the network is quantised."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from hwgen.config.accelerator import MAX_ACC_BITS, AcceleratorConfig, aes_cycles
from hwgen.config.board import Board, Resources
from hwgen.config.system import SystemConfig
from hwgen.cost.energy import energy_uj
from hwgen.cost.memory import MemoryModel
from hwgen.cost.resources import NAMES
from hwgen.errors import HwgenError
from hwgen.ir.count import count
from hwgen.ir.nodes import Graph, Pair
from hwgen.passes.plan import plan
from hwgen.quantize import Calibration, quantise
from hwgen.quantize.fuse import fuse
from hwgen.quantize.lower import lower
from hwgen.quantize.width import accumulator_bits
from hwgen.stream.compile import compile_pipeline, pipeline_config
from hwgen.stream.folding import SHARE, Folding, OptionTable, total
from hwgen.stream.latency import Quickest
from hwgen.stream.predict import PipelinePrediction, predict_pipeline
from hwgen.stream.queues import with_queues
from hwgen.stream.variants import Variant, fastest, for_rate, quickest, quickest_bound, variants

#: narrowest accumulator
_LEAST_BITS = 16
#: how often a pipeline is folded, at most, until its queues have room
REFOLDS = 4


@dataclass(frozen=True, kw_only=True)
class StreamCandidate:
    """A pipeline.

    Args:
        config: of the whole design.
        cold_cycles, steady_cycles: predicted, of a frame that is alone; interval_cycles: of frames one close behind the
            other.
        resources: estimated.
        energy_uj: of a frame, estimated.
        seconds: the search took.
    """

    config: AcceleratorConfig
    cold_cycles: int
    steady_cycles: int
    interval_cycles: int
    resources: Resources
    energy_uj: float
    seconds: float

    def to_dict(self) -> dict[str, object]:
        """JSON-ready, with the fields of a candidate of the engine's search that the report reads."""
        return {"config": SystemConfig(engine=self.config).to_dict(), "cold_cycles": self.cold_cycles,
                "steady_cycles": self.steady_cycles, "interval_cycles": self.interval_cycles,
                "resources": self.resources.to_dict(), "absorbable": Resources(
                    dsp=0, bram36=0, uram=0, lut=0, ff=0).to_dict(), "energy_uj": self.energy_uj}


def integer_form(graph: Graph) -> Graph:
    """The nodes that quantisation will make of a float graph whose tensor trains run as chains; its numbers do not
    count: no activation has been observed."""
    lowered = lower(plan(graph))
    ranges = {fused.tensor: 1.0 for fused in fuse(lowered.graph)}
    return quantise(Calibration(lowered=lowered, histograms={}, thresholds=ranges, means={}, images=0))


@dataclass(frozen=True)
class _Task:
    """What a search begins with: the integer form, the designs without foldings, the width of the accumulators."""

    form: Graph
    found: list[Variant]
    bits: int


def _task(graph: Graph, board: Board, base: AcceleratorConfig, options: OptionTable, cipher: int) -> _Task:
    """``cipher``: cycles a block of the decryptor that the stages leave room for."""
    form = integer_form(graph)
    bits = min(MAX_ACC_BITS, accumulator_bits(graph, at_least=_LEAST_BITS))
    empty = base.replace(packing=board.packing, clock_mhz=board.clock_mhz, aes_cycles=cipher)
    return _Task(form, variants(form, board, empty, bits, options), bits)


def _quickest(graph: Graph, board: Board, base: AcceleratorConfig, options: OptionTable,
              choose: Callable[[Sequence[Variant]], Quickest]) -> tuple[_Task, Quickest]:
    """``choose`` with as many rounds of AES as leave room for any pipeline: a cold frame waits for its weights, and a
    round is a small part of a board."""
    *fast, slowest = aes_cycles(base.aes_key_bits)
    for cycles in fast:
        task = _task(graph, board, base, options, cycles)
        with suppress(HwgenError):
            return task, choose(task.found)
    task = _task(graph, board, base, options, slowest)
    return task, choose(task.found)


def search_pipeline(graph: Graph, board: Board, base: AcceleratorConfig, *, fps: float = 0.0,
                    objective: str = "latency", options: OptionTable | None = None) -> StreamCandidate:
    """The pipeline with the least latency or the highest frame rate, or with the fewest resources for ``fps`` frames a
    second.

    The decryptor gets as many rounds of AES as the board has left: weights are loaded once. For the latency, half of
    which is a cold frame's, they are set aside before.

    Args:
        graph: float graph (``base``: crypto and key size).
        objective: "latency", or one that the frame rate serves (all others).
        options: of stages, where several networks are searched one after the other.

    Raises:
        HwgenError: the network has what no stage can do, or the board is too small; names node or resource.
    """
    began = time.perf_counter()
    options = options or OptionTable()
    if not fps and objective == "latency":
        choose: Callable[[Sequence[Variant]], Quickest | Folding] = quickest
        task, found = _quickest(graph, board, base, options, quickest)
    else:
        choose = partial(for_rate, interval=int(board.clock_mhz * 1e6 / fps)) if fps else fastest
        task = _task(graph, board, base, options, aes_cycles(base.aes_key_bits)[-1])
        found = choose(task.found)
    config = _with_room(task, found, choose, board)
    for cycles in aes_cycles(base.aes_key_bits):
        faster = config.replace(aes_cycles=cycles)
        if not _over(faster, board).any():
            config = faster
            break
    resources = total(config, board)
    memory = MemoryModel.of(board)
    prediction = predict_pipeline(compile_pipeline(task.form, config.replace(acc_bits=MAX_ACC_BITS)), memory)
    return _candidate(config, board, prediction, resources, macs=count(graph).macs, began=began)


def bound_pipeline(graph: Graph, board: Board, base: AcceleratorConfig, options: OptionTable | None = None) -> Quickest:
    """A bound of the latency, and what goes with it, in a fraction of the time of ``search_pipeline``.

    Raises:
        HwgenError: as ``search_pipeline``.
    """
    return _quickest(graph, board, base, options or OptionTable(), quickest_bound)[1]


def _candidate(
    config: AcceleratorConfig, board: Board, prediction: PipelinePrediction, resources: Resources, *, macs: int,
    began: float,
) -> StreamCandidate:
    """``macs``: of the network, as the engine's energy counts them."""
    assert config.pipeline is not None
    source, frames = config.pipeline.first, prediction.frames
    energy = energy_uj(macs=macs, dram_bytes=np.array([source.height * source.width * config.p_i]),
                       cycles=np.array([prediction.interval]), clock_mhz=board.clock_mhz,
                       lut=np.array([resources.lut]))
    return StreamCandidate(
        config=config, cold_cycles=frames.cold.cycles, steady_cycles=frames.steady.cycles,
        interval_cycles=prediction.interval, resources=resources, energy_uj=round(float(energy[0]), 3),
        seconds=round(time.perf_counter() - began, 3))


def _over(config: AcceleratorConfig, board: Board) -> np.ndarray:
    """What the design takes above its share of the board (``NAMES``)."""
    resources = total(config, board)
    return np.array([max(0.0, getattr(resources, name) - getattr(board.resources, name) * SHARE[name])
                     for name in NAMES])


def _with_room(task: _Task, found: Quickest | Folding, choose: Callable[[Sequence[Variant]], Quickest | Folding],
               board: Board) -> AcceleratorConfig:
    """The design of a folding, with its queues. Those that hang on several stages (of residual paths) are known behind
    the folding only: where they take more than there is, it is made again with so much less.

    Raises:
        HwgenError: the board is too small for stages and queues together.
    """
    empty, held = task.found[0].config, np.zeros(len(NAMES))
    for _ in range(REFOLDS):
        config = with_queues(pipeline_config(found.stages, empty, task.bits))
        over = _over(config, board)
        if not over.any():
            return config
        held += over
        tile = _tile(config)
        found = choose([replace(v, have=np.maximum(0, v.have - held)) for v in task.found if _tile(v.config) == tile])
    config = with_queues(pipeline_config(found.stages, empty, task.bits))
    short = total(config, board).shortfall(board.resources)  # of the board itself: its share is a margin for routing
    if short is not None:
        name, needed, there = short
        raise HwgenError(f"the queues of a streaming pipeline need {needed:,.0f} {name.upper()} with its stages, "
                         f"{there:,.0f} are there", where=f"board {board.name}",
                         hint="--style engine, or a smaller network")
    return config


def _tile(config: AcceleratorConfig) -> Pair:
    """Rows and columns of pixels that come at a time."""
    assert config.pipeline is not None
    return config.pipeline.first.tile


def fixed_pipeline(graph: Graph, board: Board, config: AcceleratorConfig) -> StreamCandidate:
    """A pipeline that was given; HwgenError if it is not one for this network or the board is too small."""
    began = time.perf_counter()
    form = integer_form(graph)
    prediction = predict_pipeline(compile_pipeline(form, config.replace(acc_bits=MAX_ACC_BITS)), MemoryModel.of(board))
    resources = total(config, board)
    short = resources.shortfall(board.resources)
    if short is not None:
        name, needed, there = short
        raise HwgenError(f"needs {needed:,.0f} {name.upper()}, {board.name} has {there:,.0f}",
                         where=f"board {board.name}", hint="a smaller pipeline, or let the search choose (leave "
                         "--config out)")
    return _candidate(config, board, prediction, resources, macs=count(graph).macs, began=began)
