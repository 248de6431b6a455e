"""The whole accelerator: loads, compute and stores of a frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.emulator.decode import Program, decode_program
from hwgen.emulator.engine import Engine
from hwgen.emulator.memories import ActivationMemory, WeightMemory
from hwgen.emulator.order import Known, Order, order_of
from hwgen.emulator.violation import require
from hwgen.isa.layout import LoadFlag, LoadKind


@dataclass(frozen=True)
class Frame:
    """Result of one frame: the output buffer, the number of issue slots, the scratch buffer."""

    output: bytes
    slots: int
    scratch: bytes = b""


class Machine:
    """Instruction-level model of the accelerator.

    Loads and stores run as early as the contract allows; that every other moment gives the same bytes follows from the
    waits alone (``order``). Every misuse of the memories raises ``ContractViolation``.

    Args:
        config: of the engine.
        program: program memory image.
        segments: plaintext payload of every segment of the image, by index.
        latency: issue slots after which a result may be read without DRAIN.
        output_bytes, scratch_bytes: sizes of the output and the scratch buffer.
    """

    def __init__(
        self, config: AcceleratorConfig, program: bytes, segments: Sequence[bytes], *, latency: int, output_bytes: int,
        scratch_bytes: int = 0,
    ) -> None:
        require(len(program) // 16 <= config.program_words, "the program exceeds program memory")
        self.config = config
        self.program: Program = decode_program(program)
        self.segments = segments
        self.latency = latency
        self.output_bytes = output_bytes
        self.scratch_bytes = scratch_bytes
        self.acts = ActivationMemory(config)
        self.weights = WeightMemory(config, self.program.ring_lines)
        self.warm = False

    def frame(self, input_buffer: bytes) -> Frame:
        """Run one frame; every frame after the first is a warm one.

        Raises:
            ContractViolation: the program breaks the contract.
        """
        order = order_of(self.program)
        self.acts.reset()
        resident = self.warm and any(load["flags"] >> LoadFlag.RESIDENT & 1 for load in self.program.loads)
        self.weights.start(resident)
        storer = _Storer(self, order)
        loader = _Loader(self, order, input_buffer, storer)
        engine = Engine(self.config, self.acts, self.weights, latency=self.latency, pump=loader.pump)
        for number, descriptor in enumerate(self.program.computes):
            loader.retired = storer.retired = number
            loader.pump()
            where = f"compute descriptor {number}"
            require(descriptor["wait_act"] <= loader.landed,
                    f"waits for {descriptor['wait_act']} activation loads, {loader.landed} can land", where)
            require(descriptor["wait_store"] <= storer.done,
                    f"waits for {descriptor['wait_store']} stores, {storer.done} can be complete", where)
            engine.execute(number, descriptor, order.computes[number])
        loader.retired = storer.retired = len(self.program.computes)
        loader.pump()
        require(loader.done, "the load program does not finish")
        require(storer.finished, "the store program does not finish")
        self.warm = True
        return Frame(bytes(storer.buffers[0]), engine.now, bytes(storer.buffers[1]))


class _Storer:
    """The store program, advanced as far as possible on every ``pump``."""

    def __init__(self, machine: Machine, order: Order) -> None:
        self.machine, self.order = machine, order
        self.stores = [store for store in machine.program.stores if store["words"]]
        self.buffers = (bytearray(machine.output_bytes), bytearray(machine.scratch_bytes))
        beats = len(self.buffers[1]) // 16
        self.writer = np.zeros(beats, np.int64)  # store (from 1) that wrote 16 bytes of scratch
        self.reader = np.zeros(beats, np.int64)  # activation load (from 1) that read them last
        self.rows: dict[int, int] = {}  # protected rows of this frame: where they begin -> beats, without the tag
        self.done = 0
        self.retired = 0

    @property
    def finished(self) -> bool:
        return self.done == len(self.stores)

    def pump(self) -> bool:
        """Store everything that may be stored now; whether that was something."""
        before = self.done
        while not self.finished and self.stores[self.done]["wait_progress"] <= self.retired:
            self._store(self.stores[self.done])
        return self.done > before

    def _store(self, store: dict[str, int]) -> None:
        number, where = self.done + 1, f"store {self.done}"
        known, acts, buffer = self.order.stores[self.done], self.machine.acts, self.buffers[store["scratch"]]
        for plane in range(store["last_plane"] + 1):
            first = store["src"] + plane * store["src_step"]
            data = acts.copy_out(first, store["words"], known, number, where)
            at = store["offset"] + plane * store["offset_step"]
            if store["scratch"] and self.machine.config.protect_activations:
                data = self._sealed(store, at, data, where)
            fits = 16 * at + len(data) <= len(buffer) and len(data) % 16 == 0
            require(fits, f"{len(data)} bytes at {16 * at}", where)
            buffer[16 * at:16 * at + len(data)] = data
            if store["scratch"]:
                part = slice(at, at + len(data) // 16)
                require(bool(np.all(self.reader[part] <= known.loads)),
                        "overwrites scratch memory that a load may still be reading", where)
                self.writer[part] = number
        self.done = number

    def _sealed(self, store: dict[str, int], at: int, data: bytes, where: str) -> bytes:
        """Rows as they lie in memory: whole beats and room for a tag; ciphertext and tags are not worked out."""
        own = store["row_words"] * self.machine.config.p_i
        require(own > 0 and len(data) % own == 0, f"{len(data)} bytes are no whole rows of {own}", where)
        out = b""
        for first in range(0, len(data), own):
            row = data[first:first + own] + bytes(-own % 16)
            begin = at + len(out) // 16
            require(begin not in self.rows, f"the row at {begin} is encrypted twice in a frame", where)
            self.rows[begin] = len(row) // 16
            out += row + bytes(16)
        require(len(out) == 16 * store["stored_beats"], f"{len(out) // 16} beats with tags", where)
        return out

    def fetch_rows(self, load: dict[str, int], at: int, known: Known, number: int, where: str) -> bytes:
        """Rows of a plane of a protected feature map for activation load ``number``, without tags."""
        p_i, words = self.machine.config.p_i, load["row_words"]
        beats = -(-words * p_i // 16)
        require(words > 0 and load["beats"] % beats == 0, f"{load['beats']} beats are no whole rows of {beats}", where)
        out = b""
        for begin in range(at, at + load["beats"] // beats * (beats + 1), beats + 1):
            require(self.rows.get(begin) == beats, f"no row of {beats} beats was stored at {begin}", where)
            out += self.fetch(begin, beats + 1, known, number, where)[:words * p_i]
        return out

    def fetch(self, at: int, beats: int, known: Known, number: int, where: str) -> bytes:
        """Bytes of the scratch buffer for activation load ``number``."""
        require(at + beats <= len(self.writer), "scratch buffer too short", where)
        part = slice(at, at + beats)
        require(bool(np.all(self.writer[part] > 0)), "reads scratch memory that was never written", where)
        require(bool(np.all(self.writer[part] <= known.stores)),
                f"reads what store {int(self.writer[part].max()) - 1} writes, which was not waited for", where)
        self.reader[part] = number
        return bytes(self.buffers[1][16 * at:16 * (at + beats)])


class _Loader:
    """The load program, advanced as far as possible on every ``pump``."""

    def __init__(self, machine: Machine, order: Order, input_buffer: bytes, storer: _Storer) -> None:
        self.machine, self.order, self.input, self.storer = machine, order, input_buffer, storer
        self.position = 0
        self.segment = 0
        self.landed = 0
        self.retired = 0

    @property
    def done(self) -> bool:
        return self.position == len(self.machine.program.loads)

    def pump(self) -> None:
        """Load and store everything that is possible now."""
        while self._pump() or self.storer.pump():
            pass

    def _pump(self) -> bool:
        before = self.position
        while not self.done:
            load = self.machine.program.loads[self.position]
            if self.retired < load["wait_progress"] or self.storer.done < load["wait_store"]:
                break
            skipped = self.machine.warm and load["flags"] >> LoadFlag.RESIDENT & 1
            if not skipped and not self._load(load):
                break
            self.position += 1
            self.segment = 0
        return self.position > before

    def _load(self, load: dict[str, int]) -> bool:
        """Carry on with one run; False when it has to wait."""
        machine, where = self.machine, f"load {self.position}"
        config = machine.config
        kind = LoadKind(load["kind"])
        scratch = load["flags"] >> LoadFlag.SCRATCH & 1
        plain = not (scratch or load["last_plane"])
        require(kind == LoadKind.INPUT or plain, "SCRATCH or planes of an image's run", where)
        if kind == LoadKind.INPUT:
            known, beats = self.order.loads[self.landed], load["beats"]
            for plane in range(load["last_plane"] + 1):
                at = load["offset"] + plane * load["offset_step"]
                if scratch and config.protect_activations:
                    data = self.storer.fetch_rows(load, at, known, self.landed + 1, where)
                elif scratch:
                    data = self.storer.fetch(at, beats, known, self.landed + 1, where)
                else:
                    data = self.input[16 * at:16 * (at + beats)]
                    require(len(data) == 16 * beats, "input buffer too short", where)
                self._activations(load["dest"] + plane * load["dest_step"], data, where)
            self.landed += 1
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
            self.landed += 1
        return True

    def _activations(self, dest: int, data: bytes, where: str) -> None:
        acts = self.machine.acts
        words = np.frombuffer(data, np.int8).reshape(-1, acts.p_i)
        acts.copy_in(dest, words, self.order.loads[self.landed], self.landed + 1, where)
