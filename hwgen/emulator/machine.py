"""The whole accelerator: loads, compute and stores of a frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.emulator.decode import Program, decode_program
from hwgen.emulator.engine import Engine
from hwgen.emulator.memories import ActivationMemory, WeightMemory
from hwgen.emulator.violation import require
from hwgen.isa.layout import LoadFlag, LoadKind


@dataclass(frozen=True)
class Frame:
    """Result of one frame: the output buffer and the number of issue slots."""

    output: bytes
    slots: int


class Machine:
    """Instruction-level model of the accelerator.

    The loader runs as far ahead as the contract allows, stores are checked to give the same bytes at their earliest and
    latest moment, and every misuse of the memories raises ``ContractViolation``.

    Args:
        config: of the engine.
        program: program memory image.
        segments: plaintext payload of every segment of the image, by index.
        latency: issue slots after which a result may be read without DRAIN.
        output_bytes: size of the output buffer.
    """

    def __init__(
        self, config: AcceleratorConfig, program: bytes, segments: Sequence[bytes], *, latency: int, output_bytes: int
    ) -> None:
        require(len(program) // 16 <= config.program_words, "the program exceeds program memory")
        self.config = config
        self.program: Program = decode_program(program)
        self.segments = segments
        self.latency = latency
        self.output_bytes = output_bytes
        self.acts = ActivationMemory(config)
        self.weights = WeightMemory(config, self.program.ring_lines)
        self.warm = False

    def frame(self, input_buffer: bytes) -> Frame:
        """Run one frame; every frame after the first is a warm one.

        Raises:
            ContractViolation: the program breaks the contract.
        """
        self.acts.reset()
        resident = self.warm and any(load["flags"] >> LoadFlag.RESIDENT & 1 for load in self.program.loads)
        self.weights.start(resident)
        loader = _Loader(self, input_buffer)
        engine = Engine(self.config, self.acts, self.weights, latency=self.latency, pump=loader.pump)
        snapshots: dict[int, bytes] = {}
        for number, descriptor in enumerate(self.program.computes):
            self._snapshot(number, snapshots)
            loader.retired = number
            loader.pump()
            where = f"compute descriptor {number}"
            require(descriptor["wait_act"] <= loader.landed,
                    f"waits for {descriptor['wait_act']} activation loads, {loader.landed} can land", where)
            require(descriptor["wait_progress"] <= number,
                    f"waits for {descriptor['wait_progress']} descriptors, itself among them", where)
            engine.execute(number, descriptor)
        loader.retired = len(self.program.computes)
        loader.pump()
        require(loader.done, "the load program does not finish")
        self._snapshot(len(self.program.computes), snapshots)
        output = bytearray(self.output_bytes)
        for position, store in enumerate(self.program.stores):
            if store["words"] == 0:
                continue
            where = f"store {position}"
            require(position in snapshots, f"waits for {store['wait_progress']} descriptors", where)
            data = self._words(store)
            require(data == snapshots[position], "words are overwritten after the store may have begun", where)
            at = 16 * store["offset"]
            require(at + len(data) <= len(output) and len(data) % 16 == 0, f"{len(data)} bytes at {at}", where)
            output[at:at + len(data)] = data
        self.warm = True
        return Frame(bytes(output), engine.now)

    def _snapshot(self, retired: int, snapshots: dict[int, bytes]) -> None:
        for position, store in enumerate(self.program.stores):
            if store["wait_progress"] == retired and store["words"]:
                snapshots[position] = self._words(store)

    def _words(self, store: dict[str, int]) -> bytes:
        """Bytes of a store; words never written read as zero (spare words behind a map)."""
        part = slice(store["src"], store["src"] + store["words"])
        require(store["src"] + store["words"] <= self.acts.words, "store outside activation memory")
        return np.where(self.acts.valid[part, None], self.acts.data[part], 0).astype(np.int8).tobytes()


class _Loader:
    """The load program, advanced as far as possible on every ``pump``."""

    def __init__(self, machine: Machine, input_buffer: bytes) -> None:
        self.machine, self.input = machine, input_buffer
        self.position = 0
        self.segment = 0
        self.landed = 0
        self.retired = 0

    @property
    def done(self) -> bool:
        return self.position == len(self.machine.program.loads)

    def pump(self) -> None:
        """Load everything that may be loaded now."""
        while not self.done:
            load = self.machine.program.loads[self.position]
            if self.retired < load["wait_progress"]:
                return
            skipped = self.machine.warm and load["flags"] >> LoadFlag.RESIDENT & 1
            if not skipped and not self._load(load):
                return
            self.position += 1
            self.segment = 0

    def _load(self, load: dict[str, int]) -> bool:
        """Carry on with one run; False when it has to wait."""
        machine, where = self.machine, f"load {self.position}"
        config = machine.config
        kind = LoadKind(load["kind"])
        if kind == LoadKind.INPUT:
            data = self.input[16 * load["offset"]:16 * (load["offset"] + load["beats"])]
            require(len(data) == 16 * load["beats"], "input buffer too short", where)
            self._activations(load["dest"], data, where)
            return True
        require(kind in (LoadKind.WEIGHTS, LoadKind.ACTIVATIONS), f"load of kind {kind}", where)
        full = 16 << load["segment_log2"]
        total = 16 * load["beats"]
        gathered = b""
        while self.segment * full < total:
            payload = machine.segments[load["index"] + self.segment]
            require(len(payload) == min(full, total - self.segment * full), "segment of the wrong length", where)
            if kind == LoadKind.WEIGHTS:
                require(len(payload) % config.line_bytes == 0, "segment of partial lines", where)
                if not machine.weights.room_for(len(payload) // config.line_bytes):
                    return False
                machine.weights.append(payload)
            gathered += payload
            self.segment += 1
        if kind == LoadKind.ACTIVATIONS:
            self._activations(load["dest"], gathered, where)
        return True

    def _activations(self, dest: int, data: bytes, where: str) -> None:
        acts = self.machine.acts
        words = np.frombuffer(data, np.int8).reshape(-1, acts.p_i)
        require(dest + len(words) <= acts.words, "load outside activation memory", where)
        require(dest * acts.p_i % 16 == 0, "load not aligned to 16 bytes", where)
        self.landed += 1
        part = slice(dest, dest + len(words))
        acts.data[part] = words
        acts.valid[part] = True
        acts.load[part] = self.landed
