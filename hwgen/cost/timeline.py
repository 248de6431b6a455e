"""Predicted cycles of a compiled program: its units play a frame against each other as in the hardware.

The load unit and its channels, the store unit, the weight fetch with the array, and the window unit are processes
(``hwgen.cost.play``) that wait for one another's counts and share the memory's bandwidth and the ports of the
activation memory.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwgen.compiler.descriptor import Descriptor
from hwgen.compiler.result import CompiledNetwork
from hwgen.config.accelerator import AcceleratorConfig
from hwgen.cost.constants import CYCLES, CycleConstants
from hwgen.cost.memory import MemoryModel
from hwgen.cost.play.compute import Array, Span
from hwgen.cost.play.events import Process
from hwgen.cost.play.frame import Frame
from hwgen.cost.play.loads import LoadUnit
from hwgen.cost.play.stores import StoreUnit
from hwgen.cost.play.window import WindowUnit
from hwgen.errors import HwgenError

__all__ = ["Prediction", "Span", "Timeline", "descriptor_bytes", "predict"]


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
    """Cycles of a cold frame and of a following one.

    Raises:
        HwgenError: the program would not come to its end.
    """
    return Prediction(cold=_play(network, memory, constants, warm=False),
                      steady=_play(network, memory, constants, warm=True))


def _play(network: CompiledNetwork, memory: MemoryModel, constants: CycleConstants, *, warm: bool) -> Timeline:
    frame = Frame(network, constants, rate=memory.bytes_per_cycle, read_latency=memory.latency,
                  write_latency=memory.write_latency, warm=warm)
    loads, stores, array, window = LoadUnit(frame), StoreUnit(frame), Array(frame), WindowUnit(frame)

    def begin() -> Process:
        """The fetchers of the other programs start when the first segment of the program is there."""
        if not warm:
            yield frame.program.reaches(1)
        start = constants.start if warm else frame.clock.now + constants.header
        frame.clock.start(array.run(start))
        frame.clock.start(stores.run(start))

    frame.clock.start(loads.run())
    frame.clock.start(begin())
    frame.clock.start(window.run())
    frame.clock.run()
    if len(frame.retirements) < len(network.descriptors):
        stuck = len(frame.retirements)
        raise HwgenError(
            f"the program stops: compute descriptor {stuck} ({network.descriptors[stuck].node}) waits for what comes "
            "behind it", where=network.name, hint="this is a mistake of the compiler: please report it")
    done = max(frame.retirements, default=0.0)
    answered = frame.stored.times[-1] if frame.stored.times else 0.0
    line_bytes = network.config.line_bytes
    spans = array.spans | window.spans
    return Timeline(
        cycles=round(max(done, answered) + constants.finish), spans=tuple(spans[i] for i in sorted(spans)),
        loaded=tuple((when, int(lines * line_bytes)) for when, lines in
                     zip(frame.loaded.times, frame.loaded.values, strict=True)))


def descriptor_bytes(d: Descriptor, config: AcceleratorConfig) -> int:
    """Bytes of the weight stream that a descriptor uses."""
    return d.lines * d.blocks * config.line_bytes
