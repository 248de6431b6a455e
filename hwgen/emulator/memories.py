"""The engine's memories with the knowledge needed to catch misuse."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.emulator.order import Known
from hwgen.emulator.violation import require

NEVER = -(1 << 60)


class ActivationMemory:
    """Words of p_i bytes in two banks.

    Members:
        data: int8 [2*act_stride, p_i]; the words of a bank behind its act_words do not exist.
        valid: bool [2*act_stride], the word has been written in this frame.
        slot: int64, issue slot of the pixel that wrote the word; NEVER once certainly landed.
        load: int64, ordinal (from 1) of the activation load that wrote the word, 0 for computed words.
        writer, reader: int64 [2, words], compute descriptor (from 1) of each unit (array, window unit) that wrote or
            read the word last, 0 for none.
        copied: int64, ordinal (from 1) of the store that read the word last, 0 for none.
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self.bank_words = config.act_stride
        self.bank_used = config.act_words
        self.words = 2 * config.act_stride
        self.p_i = config.p_i
        self.data = np.zeros((self.words, config.p_i), np.int8)
        self.valid = np.zeros(self.words, bool)
        self.slot = np.full(self.words, NEVER, np.int64)
        self.load = np.zeros(self.words, np.int64)
        self.copied = np.zeros(self.words, np.int64)
        self.writer, self.reader = np.zeros((2, self.words), np.int64), np.zeros((2, self.words), np.int64)

    def reset(self) -> None:
        """Start of a frame: nothing may be read before it is written."""
        self.valid[:] = False
        self.settle()
        for marks in (self.load, self.writer, self.reader, self.copied):
            marks[...] = 0

    def settle(self) -> None:
        """All results have landed (DRAIN)."""
        self.slot[:] = NEVER

    def fetch(self, address: np.ndarray, now: np.ndarray, latency: int, reader: Reader) -> np.ndarray:
        """int8 [len(address), p_i] for source reads at issue slots ``now``.

        Raises:
            ContractViolation: outside memory, never written, still in the pipeline, or of a load not waited for.
        """
        if address.size == 0:
            return np.zeros((0, self.p_i), np.int8)
        where = reader.where
        self._inside(address, "read of word", where)
        _forbid(~self.valid[address], address, "was never written", where)
        if not reader.window:
            _forbid(now - self.slot[address] < latency, address, "may still be in the pipeline", where)
        self.ordered(address, reader)
        self.reader[reader.window, address] = reader.number
        return self.data[address]

    def ordered(self, address: np.ndarray, reader: Reader) -> None:
        """What wrote the words that are read has been waited for: loads, and the other unit."""
        _forbid(self.load[address] > reader.known.loads, address, "comes by a load that was not waited for",
                reader.where)
        _forbid(self.writer[1 - reader.window, address] > reader.known.computes, address,
                "is written by the other unit, which was not waited for", reader.where)

    def _inside(self, address: np.ndarray, what: str, where: str) -> None:
        low, high = int(address.min()), int(address.max())
        require(low >= 0 and high < self.words and bool(np.all(address % self.bank_words < self.bank_used)),
                f"{what} {low}..{high}, outside activation memory", where)

    def store(self, address: np.ndarray, words: np.ndarray, now: np.ndarray, valid: np.ndarray, reader: Reader) -> None:
        """Write int8 ``words`` [n, p_i] issued at slots ``now``; not ``valid``: made of undefined operands."""
        if address.size == 0:
            return
        where = reader.where
        self._inside(address, "write of word", where)
        banks = {int(end) // self.bank_words for end in (address.min(), address.max())}
        require(len(banks) == 1, "an output tensor straddles the banks", where)
        late = self.load[address] > reader.known.loads
        require(not late.any(), "overwrites what a load may bring later", where)
        require(bool(np.all(self.copied[address] <= reader.known.stores)),
                "overwrites words that a store may still have to read", where)
        other = np.maximum(self.writer[1 - reader.window, address], self.reader[1 - reader.window, address])
        require(bool(np.all(other <= reader.known.computes)),
                f"overwrites words of the other unit's descriptor {int(other.max()) - 1}, not waited for", where)
        self.data[address] = words
        self.valid[address] = valid
        self.slot[address] = NEVER if reader.window else now
        self.load[address] = 0
        self.writer[reader.window, address] = reader.number

    def copy_in(self, dest: int, words: np.ndarray, known: Known, number: int, where: str) -> None:
        """Activation load ``number`` (from 1) writes int8 ``words`` [n, p_i] from ``dest`` on."""
        self._inside(np.array((dest, dest + len(words) - 1)), "load of word", where)
        part = slice(dest, dest + len(words))
        require(bool(np.all(np.maximum(self.writer[:, part], self.reader[:, part]) <= known.computes)),
                "overwrites words of a compute descriptor that may not have retired", where)
        require(bool(np.all(self.copied[part] <= known.stores)),
                "overwrites words that a store may still have to read", where)
        before = self.load[part]
        require(bool(np.all((before <= known.loads) | (before == number))),
                "overwrites what an earlier load may bring later", where)
        self.data[part] = words
        self.valid[part] = True
        self.slot[part] = NEVER
        self.load[part] = number
        self.writer[:, part] = 0

    def copy_out(self, first: int, count: int, known: Known, number: int, where: str) -> bytes:
        """What store ``number`` (from 1) copies; words never written read as zero (spare words behind a map)."""
        self._inside(np.array((first, first + count - 1)), "store of word", where)
        part = slice(first, first + count)
        require(bool(np.all(self.writer[:, part] <= known.computes)),
                "reads words of a compute descriptor that was not waited for", where)
        require(bool(np.all(self.load[part] <= known.loads)), "reads words of a load that may not have landed", where)
        self.copied[part] = number
        return np.where(self.valid[part, None], self.data[part], 0).astype(np.int8).tobytes()


@dataclass(frozen=True)
class Reader:
    """A compute descriptor (``number`` from 1), what is known when it begins, and its unit: 0 array, 1 window unit."""

    number: int
    known: Known
    where: str
    window: int = 0


class WeightMemory:
    """Lines of line_columns granules of p_i bytes: a ring, and behind it the region of reconstructed kernels.

    Members:
        data: uint8 [lines, line_bytes].
        seq: int64 [ring lines], number in the stream of the line it holds, -1 for none.
        loaded, freed: lines since the start of the frame.
        writer: int64 [granules], compute descriptor that wrote a granule of the region, -1 for none.
    """

    def __init__(self, config: AcceleratorConfig, ring_lines: int) -> None:
        require(0 < ring_lines <= config.weight_lines, f"ring of {ring_lines} lines")
        self.config = config
        self.ring = ring_lines
        self.data = np.zeros((config.weight_lines, config.line_bytes), np.uint8)
        self.seq = np.full(ring_lines, -1, np.int64)
        self.loaded = 0
        self.freed = 0
        self.resident = False
        self.writer = np.full(config.weight_lines * config.line_columns, -1, np.int64)

    def start(self, resident: bool) -> None:
        """Start of a frame; ``resident``: the ring still holds the whole stream."""
        self.resident = resident
        self.loaded = self.freed = 0
        self.writer[:] = -1
        if not resident:
            self.seq[:] = -1

    def room_for(self, lines: int) -> bool:
        """Whether a segment of ``lines`` may be loaded now."""
        return self.loaded + lines - self.ring <= self.freed

    def append(self, payload: bytes) -> None:
        """Load the next lines of the stream."""
        rows = np.frombuffer(payload, np.uint8).reshape(-1, self.config.line_bytes)
        numbers = self.loaded + np.arange(len(rows))
        self.data[numbers % self.ring] = rows
        self.seq[numbers % self.ring] = numbers
        self.loaded += len(rows)

    def stream(self, line: int, seq: int, count: int, release: bool, where: str) -> np.ndarray:
        """uint8 [count, line_bytes]: lines ``seq`` .. of the stream at ``line`` of the ring.

        Raises:
            ContractViolation: not loaded, overwritten, freed before, or freed out of order.
        """
        require(self.resident or seq + count <= self.loaded, f"lines up to {seq + count} are never loaded "
                f"({self.loaded} are): the loader waits for {self.freed} + ring {self.ring}", where)
        places = (line + np.arange(count)) % self.ring
        held = self.seq[places] == seq + np.arange(count)
        require(bool(np.all(held)), f"lines {seq}.. are not at ring line {line}", where)
        require(self.resident or seq >= self.freed, f"line {seq} is used after it was freed ({self.freed})", where)
        if release and not self.resident:
            require(seq == self.freed, f"line {seq} is freed out of order, {self.freed} is next", where)
            self.freed = seq + count
        return self.data[places]

    def local(self, line: int, count: int, retired: int, where: str) -> np.ndarray:
        """uint8 [count, line_bytes] of a reconstructed kernel; only descriptors below ``retired`` have retired."""
        per = self.config.line_columns
        require(self.ring <= line and line + count <= self.config.weight_lines, f"local lines {line}..", where)
        writer = self.writer[line * per:(line + count) * per]
        require(bool(np.all(writer >= 0)), f"local lines {line}.. are not completely written", where)
        require(bool(np.all(writer < retired)), f"local lines {line}.. are written by descriptor {int(writer.max())}, "
                f"which was not waited for", where)
        return self.data[line:line + count]

    def write_granules(self, address: np.ndarray, granules: np.ndarray, descriptor: int, where: str) -> None:
        """Results int8 [n, p_i] to granules behind the ring."""
        require(int(address.min()) >= self.ring * self.config.line_columns and int(address.max()) < len(self.writer),
                "write into the ring or outside weight memory", where)
        flat = self.data.reshape(-1, self.config.p_i)
        flat[address] = granules.view(np.uint8)
        self.writer[address] = descriptor


def _forbid(bad: np.ndarray, address: np.ndarray, text: str, where: str) -> None:
    if bad.any():
        require(False, f"the word {int(address[np.flatnonzero(bad)[0]])} that is read {text}", where)
