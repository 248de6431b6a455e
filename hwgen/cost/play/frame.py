"""What the units of a frame share: the clock, the memory, and the counts they wait for."""

from __future__ import annotations

from hwgen.compiler.result import CompiledNetwork
from hwgen.cost.constants import CycleConstants
from hwgen.cost.play.events import Clock, Count
from hwgen.cost.play.memory import Memory, Target
from hwgen.cost.play.programs import Header
from rtl_templates.engine.timing import WINDOW_QUEUE, pipeline_latency

BEAT = 16
#: beats that the memory may catch up on, beyond one a port; beats on their way in a channel; words that the store unit
#: reads ahead
CREDIT, CHANNEL_QUEUE, STORE_QUEUE = 2, 3, 8


class Frame:
    """One frame.

    Args:
        rate: bytes per cycle of the memory; read_latency, write_latency: its cycles.
        warm: what the frame before left is used.

    Attributes:
        window_lines, window_taken: lines that the weight fetch has put into the window unit's queue, and that have left
            it.
        window_handed, window_times: descriptors handed out to the window unit, and when.
        loaded, freed: lines of the weight stream that are there, and that have been used for the last time.
        landed, stored, progress: loads of activations, stores, compute descriptors.
        program: words of program memory that are there.
        lines, words, program_words: where loads go (weight memory, banks of activation memory, program memory).
        banks, window_banks: activation memory as the store unit and the window unit read it.
    """

    def __init__(self, network: CompiledNetwork, constants: CycleConstants, *, rate: float, read_latency: float,
                 write_latency: float, warm: bool) -> None:
        config = network.config
        self.network, self.config, self.constants, self.warm = network, config, constants, warm
        self.read_latency, self.write_latency = read_latency, write_latency
        self.resident = warm and network.resident
        self.latency = float(pipeline_latency(config))
        self.clock = Clock()
        self.memory = Memory(self.clock, rate / BEAT)
        self.header = Header.of(network.program)
        self.loaded, self.freed, self.landed, self.stored, self.progress, self.program = (
            Count(self.clock) for _ in range(6))
        per_word = config.p_i / BEAT
        self.lines = Target(self.memory, config.line_bytes / BEAT)
        ports = config.axi_ports
        lane: list[Target] = []
        self.words = [Target(self.memory, per_word, CREDIT + ports + CHANNEL_QUEUE * ports, lane) for _ in range(2)]
        self.program_words = Target(self.memory, 1.0)
        self.banks = [Target(self.memory, per_word, queue=STORE_QUEUE * per_word) for _ in range(2)]
        #: words that the window unit reads, one a cycle where the array leaves a bank to it
        self.window_memory = Memory(self.clock, 1.0)
        self.window_banks = [Target(self.window_memory, 1.0) for _ in range(2)]
        self.retirements: list[float] = []  # of the compute descriptors in program order, as they count
        self._early: dict[int, float] = {}
        #: lines of the stream after which freed ones are told
        self.freed_step = max(1.0, network.ring_lines / 64)
        self.window_lines, self.window_taken, self.window_handed = (Count(self.clock) for _ in range(3))
        self.window_times: dict[int, float] = {}
        self._window_fetched = 0

    def bank(self, word: int) -> int:
        """Bank of an activation word."""
        return word // self.config.act_stride & 1

    def retire(self, descriptor: int, when: float) -> None:
        """A compute descriptor retires at ``when``; it counts once all before it have retired."""
        self._early[descriptor] = when
        while len(self.retirements) in self._early:
            own = self._early.pop(len(self.retirements))
            self.retirements.append(max(own, self.retirements[-1] if self.retirements else 0.0))
            self.clock.at(self.retirements[-1], self.progress.add)

    def window_dispatch(self, descriptor: int, when: float) -> None:
        """A descriptor of the window unit is handed out at ``when``."""
        self.window_times[descriptor] = when
        self.clock.at(when, self.window_handed.add)

    def window_room(self) -> int:
        """Lines that must have left the window unit's queue before those of one more block fit."""
        return self._window_fetched + self.config.window_lines - WINDOW_QUEUE

    def window_fetch(self, when: float) -> None:
        """The lines of one more block are in the queue at ``when``."""
        self._window_fetched += self.config.window_lines
        lines = self._window_fetched
        self.clock.at(when, lambda: self.window_lines.reach(lines))
