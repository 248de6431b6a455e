"""Run the frames on the simulated hardware and compare."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.config.board import Board
from hwgen.config.system import SystemConfig
from hwgen.errors import HwgenError
from hwgen.verify.compare import Comparison, compare
from hwgen_sim.cycle_rows import CycleRows
from hwgen_sim.simulate import Frame, MemoryTiming, SimulationResult, run_job
from rtl_templates.shell.error_codes import ErrorCode

#: frames of a streaming pipeline's batch, at least: enough for the first ones to have left while others come
BATCH = 6
#: frames per engine in the round that is timed, after one in which every engine got the image
FRAMES_PER_ENGINE = 2
#: exit code when the simulated hardware itself refused the image or the key
REFUSED = 5


@dataclass(frozen=True, kw_only=True)
class Job:
    """A simulation.

    Args:
        config, verilog: the hardware.
        image: file; key: root key's bytes, b"" for hardware without crypto.
        inputs: int8 [N, C, H, W].
        memory: of the board.
        seed: of the random initial state.
        waves: FST file to write; the traced run gets the image under a random key, so that ``key`` is not in the dump.
        cache: folder of compiled simulators.
    """

    config: AcceleratorConfig | SystemConfig
    verilog: str
    image: Path
    key: bytes
    inputs: np.ndarray
    memory: MemoryTiming
    seed: int
    cache: Path
    waves: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Together:
    """All engines at work on following frames.

    Args:
        engines: of the design; frames: that ran.
        cycles: from the first frame's start register to the last one's interrupt.
        counters: of the hardware, per frame.
    """

    engines: int
    frames: int
    cycles: int
    counters: tuple[dict[str, int], ...]


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Frames close behind one another in a streaming pipeline.

    Args:
        frames: of one start; cycles: from the start register to the interrupt.
        interval: cycles between the results of the last two frames, counted by the hardware.
    """

    frames: int
    cycles: int
    interval: int


@dataclass(frozen=True, kw_only=True)
class Proof:
    """Args:
        comparison: of all elements; frames: that ran.
        counters: of the hardware, per frame that ran alone; rows: the same per compute descriptor.
        together: None where there is one engine; batch: None where there is no pipeline.
        simulator: name and version; seconds: of everything, building the simulator included; cached: it was not built.
    """

    comparison: Comparison
    frames: int
    counters: tuple[dict[str, int], ...]
    rows: tuple[CycleRows, ...]
    together: Together | None
    batch: Batch | None
    simulator: str
    seconds: float
    build_seconds: float
    cached: bool

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "bit_exact": self.comparison.mismatches == 0, "frames": self.frames,
            "mismatches": self.comparison.mismatches, "elements_compared": self.comparison.elements,
            "first_mismatch": self.comparison.first, "simulator": self.simulator, "seconds": round(self.seconds, 2),
            "build_seconds": round(self.build_seconds, 2), "simulator_cached": self.cached,
            "counters": list(self.counters), "together": None if self.together is None else asdict(self.together),
            "batch": None if self.batch is None else asdict(self.batch),
        }


def memory_timing(board: Board) -> MemoryTiming:
    """The simulated memory of a board."""
    return MemoryTiming(bytes_per_cycle=Fraction(board.bytes_per_cycle).limit_denominator(1000),
                        read_latency=board.latency_cycles)


def simulate(job: Job) -> SimulationResult:
    """Run the frames one after the other on the first engine, the first of them cold.

    In a streaming pipeline, then run them again (at least ``BATCH`` frames), one close behind the other.
    Where there are more engines, then give the same frames to all of them at once: one for each (cold but on the first
    engine), then ``FRAMES_PER_ENGINE`` for each.

    Raises:
        HwgenError: the hardware ended a frame with an error (exit code 5); the code is named.
    """
    engines = job.config.engines if isinstance(job.config, SystemConfig) else 1
    rounds = [] if engines == 1 else [[job.inputs[n % len(job.inputs)] for n in range(frames)]
                                      for frames in (engines, FRAMES_PER_ENGINE * engines)]
    batches = []
    if _engine(job).pipeline is not None:
        batches = [[job.inputs[n % len(job.inputs)] for n in range(max(BATCH, len(job.inputs)))]]
    result = run_job(job.config, job.image, list(job.inputs), batches=batches, rounds=rounds, key=job.key,
                     verilog=job.verilog, memory=job.memory, seed=job.seed, waves=job.waves, cache_dir=job.cache)
    for number, frame in enumerate(_all_frames(result)):
        if frame.error:
            raise hardware_error(number, frame.error, frame.segment, frame.message, touched=frame.output_touched)
    return result


def _all_frames(result: SimulationResult) -> list[Frame]:
    return [*result.frames, *(frame for one in (*result.batches, *result.rounds) for frame in one.frames)]


def _engine(job: Job) -> AcceleratorConfig:
    return job.config.engine if isinstance(job.config, SystemConfig) else job.config


def hardware_error(frame: int, code: int, segment: int, message: str, *, touched: bool) -> HwgenError:
    """The error for a frame that the hardware refused."""
    try:
        name = ErrorCode(code).name
    except ValueError:
        name = "no answer"
    written = "some output was written" if touched else "no output was written"
    place = f", segment {segment}" if name == "TAG" else ""
    hint = {"TAG": "the image was changed, or was sealed under another key (--key-file)",
            "NO_KEY": "give the key with --key-file", "VERSION": "the image is older than the hardware accepts"}
    return HwgenError(f"the hardware stopped with error {code} ({name}{place}); {written}" + (
        f"; {message}" if message else ""), where=f"frame {frame}", hint=hint.get(name, ""), exit_code=REFUSED)


def prove(job: Job, expected: Sequence[dict[str, np.ndarray]], output: str,
          spoil: Callable[[np.ndarray], np.ndarray] = lambda tensor: tensor) -> Proof:
    """Simulate and compare.

    Args:
        expected: per frame, tensors by name.
        output: name of the output tensor.
        spoil: applied to the hardware's outputs before they are compared (tests of the checker).
    """
    began = time.perf_counter()
    result = simulate(job)
    actual, wanted = [], list(expected)
    for frame in _all_frames(result):
        assert frame.output is not None
        actual.append({**frame.dumps, output: spoil(frame.output)})
    for one in (*result.batches, *result.rounds):
        wanted += [expected[n % len(expected)] for n in range(len(one.frames))]
    together = None
    if result.rounds and isinstance(job.config, SystemConfig):
        last = result.rounds[-1]
        together = Together(engines=job.config.engines, frames=len(last.frames), cycles=last.cycles,
                            counters=tuple(f.counters for f in last.frames))
    batch = None
    if result.batches:
        one = result.batches[0]
        batch = Batch(frames=len(one.frames), cycles=one.cycles, interval=one.frames[-1].counters["interval"])
    return Proof(
        comparison=compare(wanted, actual), frames=len(actual), together=together, batch=batch,
        simulator=result.simulator.split(" rev ")[0],
        counters=tuple(f.counters for f in result.frames),
        rows=tuple(f.rows for f in result.frames if f.rows is not None), seconds=time.perf_counter() - began,
        build_seconds=result.build_seconds, cached=result.cached)
