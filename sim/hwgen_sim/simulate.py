"""Runs frames of a model image on the simulated accelerator."""

from __future__ import annotations

import hashlib
import json
import secrets
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.config.system import SystemConfig
from hwgen.driver import Image
from hwgen.errors import HwgenError
from hwgen.image.reseal import reseal
from hwgen.seal import Key
from hwgen_sim.bench import simulator_source
from hwgen_sim.cycle_rows import CycleRows, cycle_rows
from hwgen_sim.runner import build_simulator, run_cocotb
from hwgen_sim.toolchain import find_toolchain
from rtl_templates.engine.counters import COUNTERS
from rtl_templates.verilog import generate


@dataclass(frozen=True, kw_only=True)
class MemoryTiming:
    """The simulated memory.

    Args:
        bytes_per_cycle: of all ports and both directions together.
        read_latency: cycles from a read's address to its first beat, at least.
        write_latency: cycles from a write's last beat to its response, at least.
        stall: share of the cycles in which each channel pauses at random.
        stall_seed: of these pauses.
    """

    bytes_per_cycle: Fraction | int = 40
    read_latency: int = 100
    write_latency: int = 20
    stall: float = 0.0
    stall_seed: int = 1

    def settings(self) -> dict[str, int]:
        """Signals of the bench."""
        pool = Fraction(self.bytes_per_cycle)
        return {"pool_num": pool.numerator, "pool_den": pool.denominator, "read_latency": self.read_latency,
                "write_latency": self.write_latency, "stall": min(255, round(256 * self.stall)),
                "stall_seed": self.stall_seed}


@dataclass(frozen=True)
class BusFault:
    """The beat ``offset`` bytes behind the start of ``where`` (image, input, output or scratch) answers SLVERR."""

    where: str
    offset: int


@dataclass(frozen=True)
class Frame:
    """Result of one frame.

    Args:
        output: int32 or int8 [C, H, W]; None after an error.
        dumps: inner tensors, of a debug image.
        counters: the hardware's, names as in ``hwgen.driver.register_map.COUNTERS``.
        rows: the same per compute descriptor; None after an error.
        warm: the frame used what the one before left in the buffers.
        error: the hardware's error code; 0: none, -1: the hardware did not answer (``message`` says more).
        segment: for a wrong tag, its segment.
        output_touched: a byte of the output buffer was written.
    """

    output: np.ndarray | None
    dumps: dict[str, np.ndarray]
    counters: dict[str, int]
    rows: CycleRows | None
    warm: bool
    error: int
    segment: int
    message: str
    output_touched: bool


@dataclass(frozen=True)
class Round:
    """Frames that ran on all engines at once, or one close behind the other in a pipeline, in the order given.

    ``cycles`` from the first frame's start register to the last one's interrupt.
    """

    frames: tuple[Frame, ...]
    cycles: int


@dataclass(frozen=True)
class SimulationResult:
    """Frames and figures of a simulation: one after the other on the first engine, then batches, then rounds on all.

    ``cycles`` simulated in ``seconds``; the simulator, named by ``simulator``, was ready after ``build_seconds``.
    """

    frames: tuple[Frame, ...]
    batches: tuple[Round, ...]
    rounds: tuple[Round, ...]
    cycles: int
    seconds: float
    simulator: str
    build_seconds: float
    cached: bool


def memory_bytes(image: Path, engines: int, frames: int = 1) -> int:
    """Memory to simulate for an image file and so many frames a start: twice what the driver allocates, and 32 MiB."""
    found = Image.load(image)
    layout = found.metadata
    buffers = frames * (layout["input"]["bytes"] + layout["output_bytes"]) + layout.get("scratch_bytes", 0)
    return 2 * (len(found.payload) + engines * buffers) + (32 << 20)


def boot_salt(seed: int, engine: int = 0) -> bytes:
    """16 bytes that stand for those which the host draws at every power-up."""
    return hashlib.sha256(f"boot {seed} {engine}".encode()).digest()[:16]


def run_job(
    config: AcceleratorConfig | SystemConfig,
    image: Path,
    inputs: Sequence[np.ndarray],
    *,
    batches: Sequence[Sequence[np.ndarray]] = (),
    rounds: Sequence[Sequence[np.ndarray]] = (),
    key: bytes = b"",
    verilog: str | None = None,
    memory: MemoryTiming | None = None,
    warm: bool | Sequence[bool] = True,
    watchdog: int = 0,
    minimum_version: int = 0,
    timeout_cycles: int = 100_000_000,
    fault: BusFault | None = None,
    check_config: bool = True,
    seed: int = 1,
    waves: Path | None = None,
    threads: int = 1,
    cache_dir: Path | None = None,
    work_dir: Path | None = None,
) -> SimulationResult:
    """Run one frame per element of ``inputs`` (int8 [C, H, W]), in order, without a reset in between.

    Args:
        inputs: run on the first engine, the others are idle.
        batches: after these, frames of one start each (streaming pipelines; ``Accelerator.run_batch``).
        rounds: after these, frames given to all engines at once (``hwgen.driver.System.run_many``); engines that have
            run a frame before may use what it left. The fault and ``warm`` are not theirs.
        verilog: the design; generated from ``config`` if None.
        warm: of each frame: it may use what the one before left (the first never can).
        watchdog: of the hardware, in cycles; 0: none.
        timeout_cycles: after these the driver gives a frame up.
        seed: of the random initial state of all registers and memories, and of the boot salts.
        waves: FST file to write; the simulator is built with tracing. A dump shows every signal, so a traced run never
            sees ``key``: it gets the image sealed under a random key that is used this once. All figures are the same.
        work_dir: keeps the log and the exchanged files; by default they are removed.

    Raises:
        HwgenError: the simulation itself failed, the accelerator broke the AXI protocol, or its counters do not add up
            (see ``cycle_rows``).
        ToolMissingError: see ``find_toolchain``.
    """
    began = time.perf_counter()
    engines = config.engines if isinstance(config, SystemConfig) else 1
    source = simulator_source(config, generate(config) if verilog is None else verilog, waves=waves is not None,
                              memory_bytes=memory_bytes(image, engines, max(map(len, batches), default=1)),
                              threads=threads)
    simulator = build_simulator(source, cache_dir=cache_dir)
    build_seconds = time.perf_counter() - began
    each = [warm] * len(inputs) if isinstance(warm, bool) else list(warm)
    with ExitStack() as stack:
        folder = work_dir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hwgen-sim-")))
        exchange = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hwgen-exchange-")))
        tensors = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hwgen-tensors-")))
        folder.mkdir(parents=True, exist_ok=True)

        def saved(tensor: np.ndarray) -> str:
            path = exchange / f"input_{len(list(exchange.iterdir()))}.npy"
            np.save(path, tensor)
            return str(path)

        frames = [{"input": saved(tensor), "warm": frame_warm} for tensor, frame_warm in zip(inputs, each, strict=True)]
        if waves is not None and key:
            image, key = _under_throwaway_key(image, key, exchange / "model.img")
        job, result = folder / "job.json", folder / "result.json"
        result.unlink(missing_ok=True)
        job.write_text(json.dumps({
            "image": str(image.resolve()), "frames": frames,
            "batches": [[saved(tensor) for tensor in one] for one in batches],
            "rounds": [[saved(tensor) for tensor in one] for one in rounds], "exchange": str(exchange),
            "folder": str(tensors), "result": str(result.resolve()), "settings": (memory or MemoryTiming()).settings(),
            "watchdog": watchdog, "minimum_version": minimum_version, "timeout_cycles": timeout_cycles,
            "check_config": check_config,
            "boot_salts": [boot_salt(seed, number).hex() for number in range(engines)],
            "fault": None if fault is None else {"where": fault.where, "offset": fault.offset}}))
        run_cocotb(simulator, "hwgen_sim.bench_main", folder, seed=seed, waves=waves,
                   plusargs=[f"+exchange={exchange}"],
                   settings={"HWGEN_SIM_JOB": str(job.resolve()), "HWGEN_SIM_KEY": key.hex()})
        values = json.loads(result.read_text())
        outcomes = tuple(map(_frame, values["frames"]))
        batched = tuple(Round(tuple(map(_frame, one["frames"])), one["cycles"]) for one in values["batches"])
        together = tuple(Round(tuple(map(_frame, one["frames"])), one["cycles"]) for one in values["rounds"])
    if values["violation"]:
        raise HwgenError(f"the accelerator broke the AXI protocol (violation bits {values['violation']:#x})")
    if values["bursts_open"]:
        raise HwgenError(f"the accelerator left {values['bursts_open']} bus transfers open")
    return SimulationResult(outcomes, batched, together, values["cycles"], values["seconds"],
                            f"Verilator {find_toolchain().verilator_version}", build_seconds, simulator.cached)


def _frame(values: dict[str, Any]) -> Frame:
    """A frame of the result file."""
    return Frame(output=None if values["output"] is None else np.load(values["output"]),
                 dumps={name: np.load(path) for name, path in values["dumps"].items()}, counters=values["counters"],
                 rows=cycle_rows(values["events"], values["counters"], COUNTERS) if values.get("events") and not
                 values["error"] else None,
                 warm=values["warm"], error=values["error"], segment=values["segment"], message=values["message"],
                 output_touched=values["output_touched"])


def _under_throwaway_key(image: Path, key: bytes, path: Path) -> tuple[Path, bytes]:
    """``image`` written to ``path`` under a new random key, and that key."""
    other = Key(secrets.token_bytes(len(key)))
    path.write_bytes(reseal(image.read_bytes(), Key(key), other))
    return path, other.reveal()
