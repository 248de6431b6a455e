"""Executes one compute descriptor on the modelled memories, vectorised over the pixels of a step."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.emulator.loops import StepAccumulator, accumulate, wrap_signed
from hwgen.emulator.memories import ActivationMemory, Reader, WeightMemory
from hwgen.emulator.order import Known
from hwgen.emulator.records import Records, decode_records
from hwgen.emulator.violation import require
from hwgen.emulator.window import WindowRun
from hwgen.isa.layout import ACT_ADDR_BITS, COORD_BITS, LOOP_NAMES, ComputeFlag, Opcode


class Engine:
    """The compute side.

    Args:
        config: of the engine.
        acts, weights: its memories.
        latency: issue slots after which a result may be read without DRAIN.
        pump: called whenever lines have been freed, so that the loader can go on.
    """

    def __init__(self, config: AcceleratorConfig, acts: ActivationMemory, weights: WeightMemory, *, latency: int,
                 pump: Callable[[], None]) -> None:
        self.config, self.acts, self.weights, self.latency, self.pump = config, acts, weights, latency, pump
        self.now = 0  #: issue slots since the frame's start
        self.last_pool: bool | None = None  #: whether the descriptor before was a pool

    def execute(self, number: int, d: dict[str, int], known: Known) -> None:
        """Run descriptor ``number`` of the program; ``known``: what its waits make certain.

        Raises:
            ContractViolation: see the package's documentation.
        """
        if d["opcode"] in (Opcode.WINDOW_CONV, Opcode.WINDOW_MAX):
            WindowRun(self.config, self.acts, self.weights, pump=self.pump, number=number, d=d, known=known).execute()
            return
        require(d["opcode"] in (Opcode.CONV, Opcode.MAXPOOL, Opcode.AVGPOOL), f"unknown opcode {d['opcode']}",
                f"compute descriptor {number}")
        run = _Run(self, number, d, known)
        turns = self.last_pool is not None and self.last_pool != (d["opcode"] != Opcode.CONV)
        require(not turns or run.has(ComputeFlag.DRAIN), "convolution and pool without DRAIN between", run.where)
        self.last_pool = d["opcode"] != Opcode.CONV
        if run.has(ComputeFlag.DRAIN):
            self.acts.settle()
        if d["opcode"] == Opcode.CONV:
            run.convolve()
        else:
            run.pool()


class _Run:
    """State of one descriptor."""

    def __init__(self, engine: Engine, number: int, d: dict[str, int], known: Known) -> None:
        self.engine, self.number, self.d = engine, number, d
        self.config = engine.config
        self.where = f"compute descriptor {number}"
        self.known = known
        self.access = Reader(number + 1, known, self.where)
        self.counts = [d[f"last_{n}"] + 1 for n in LOOP_NAMES]
        self.pair = self.has(ComputeFlag.PAIR)
        self.wide = self.config.p_o == 2 * self.config.p_i
        self.src_banks: set[int] = set()
        require(self.wide or not self.pair, "PAIR without p_o = 2*p_i", self.where)
        for name in ("dst_plane", "res_plane"):
            used = name == "dst_plane" or self.has(ComputeFlag.RESIDUAL) or d["opcode"] != Opcode.CONV
            require(not (used and self.wide) or d[name] % 2 == 1, f"{name} = {d[name]} is even", self.where)

    def has(self, flag: ComputeFlag) -> bool:
        return bool(self.d["flags"] >> flag & 1)

    # ------------------------------------------------------------ addresses
    def _source(self, n: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Word address, row and column of iteration ``n``."""
        out = []
        for name, bits in (("src", ACT_ADDR_BITS), ("iy", COORD_BITS), ("ix", COORD_BITS)):
            value = accumulate(n, self.counts, [self.d[f"{name}_jump_{k}"] for k in LOOP_NAMES], self.d[f"{name}_base"])
            out.append(value % (1 << bits) if name == "src" else wrap_signed(value, bits))
        return out[0], out[1], out[2]

    def _target(self, name: str, n: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
        """Address of emitted pixel (pair) ``n``."""
        jumps = [self.d[f"{name}_jump_{a}"] for a in "xyo"]
        return accumulate(n, shape, jumps, self.d[f"{name}_base"]) % (1 << ACT_ADDR_BITS)

    def _read(self, address: np.ndarray, inside: np.ndarray, now: np.ndarray, pad: int) -> np.ndarray:
        """int8 [n, p_i]; ``pad`` where not inside."""
        out = np.full((len(address), self.config.p_i), pad, np.int8)
        chosen = address[inside]
        out[inside] = self.engine.acts.fetch(chosen, now[inside], self.engine.latency, self.access)
        if chosen.size:
            self.src_banks |= {int(end) // self.engine.acts.bank_words for end in (chosen.min(), chosen.max())}
        return out

    # ------------------------------------------------------------ weight stream
    def _lines(self, at: int, count: int) -> np.ndarray:
        """Lines of the stream, ``at`` lines behind the descriptor's first."""
        engine = self.engine
        engine.pump()
        line = (self.d["weight_line"] + at) % engine.weights.ring
        data = engine.weights.stream(line, self.d["weight_seq"] + at, count, self.has(ComputeFlag.RELEASE), self.where)
        engine.pump()
        return data

    def _records(self, at: int) -> tuple[Records, int]:
        channels = self.config.p_o // (2 if self.pair else 1)
        require(channels * 16 % self.config.line_bytes == 0, "half the records do not fill whole lines", self.where)
        count = channels * 16 // self.config.line_bytes
        raw = self._lines(at, count).reshape(channels, 16)
        return decode_records(raw, self.where, shifted=not self.has(ComputeFlag.RAW)), count

    # ------------------------------------------------------------ operations
    def convolve(self) -> None:
        """Weight-stationary convolution."""
        config, d, engine = self.config, self.d, self.engine
        columns = config.p_o // (2 if self.pair else 1)
        slots = self.counts[0] * self.counts[1]
        steps = self.counts[2] * self.counts[3] * self.counts[4]
        require(slots <= config.acc_depth, f"{slots} pixels, acc_depth is {config.acc_depth}", self.where)
        require(steps == d["steps"], f"steps = {d['steps']}, the loops make {steps}", self.where)
        require(columns % config.line_columns == 0, "half tiles do not fill whole lines", self.where)
        tile_lines = columns // config.line_columns
        local = self.has(ComputeFlag.LOCAL_WEIGHTS)
        limit = 1 << (config.acc_bits - 1)
        at, pixel = 0, np.arange(slots)
        walk = [StepAccumulator(self.counts, [d[f"{name}_jump_{k}"] for k in LOOP_NAMES], d[f"{name}_base"], slots)
                for name in ("src", "iy", "ix")]
        for block in range(self.counts[5]):
            records, used = self._records(at)
            at += used
            acc = np.zeros((slots, config.p_o), np.int64)
            now = pixel
            for step in range(steps):
                if local:
                    line = d["tile_line"] + (block * steps + step) * tile_lines
                    lines = engine.weights.local(line, tile_lines, d["wait_progress"], self.where)
                else:
                    lines = self._lines(at, tile_lines)
                    at += tile_lines
                tile = lines.reshape(columns, config.p_i).view(np.int8)
                now = engine.now + pixel
                outer = block * steps + step
                acc += self._step(walk[0].step(outer), walk[1].step(outer), walk[2].step(outer), now, tile)
                require(bool(acc.min() > -limit and acc.max() < limit), "an accumulator overflows", self.where)
                engine.now += slots
            self._emit(block, acc, records, now, limit)

    def _step(self, src: np.ndarray, iy: np.ndarray, ix: np.ndarray, now: np.ndarray, tile: np.ndarray) -> np.ndarray:
        """Partial sums int64 [slots, p_o] of one step that reads words ``src`` at rows ``iy`` and columns ``ix``."""
        d = self.d
        src, iy, ix = src % (1 << ACT_ADDR_BITS), wrap_signed(iy, COORD_BITS), wrap_signed(ix, COORD_BITS)
        rows = (iy >= 0) & (iy < d["height"])
        inside = rows & (ix >= 0) & (ix < d["width"])
        matrix = tile.T.astype(np.float32)  # sums of p_i products stay below 2^24: exact
        sums = [self._read(src, inside, now, 0).astype(np.float32) @ matrix]
        if self.pair:
            ix = wrap_signed(ix + 1, COORD_BITS)
            second = rows & (ix >= 0) & (ix < d["width"])
            neighbour = (src + 1) % (1 << ACT_ADDR_BITS)
            both = inside & second
            banks = self.engine.acts.bank_words
            together = src[both] // banks == neighbour[both] // banks
            require(bool(np.all(together)), "a pair straddles the banks", self.where)
            sums.append(self._read(neighbour, second, now, 0).astype(np.float32) @ matrix)
        return np.concatenate(sums, axis=1).astype(np.int64)

    def _emit(self, block: int, acc: np.ndarray, records: Records, now: np.ndarray, limit: int) -> None:
        """Post-process the finished sums [slots, p_o] of an output block and write them."""
        config, d, engine = self.config, self.d, self.engine
        p_i = config.p_i
        slots = len(acc)
        shape = (self.counts[0], self.counts[1], self.counts[5])
        if self.d["opcode"] != Opcode.CONV:
            shape = (self.counts[2], self.counts[3], self.counts[5])
        n = block * slots + np.arange(slots)
        dst = self._target("dst", n, shape)
        twice = 2 if self.pair else 1
        bias = np.tile(records.bias, twice)
        total = acc + bias
        require(bool(np.all(np.abs(total) < limit)), "accumulator and bias overflow", self.where)
        last = block == self.counts[5] - 1
        valid = np.ones(slots, bool)
        if self.has(ComputeFlag.RAW):
            require(not self.pair, "RAW in the pair shape", self.where)
            words = total.astype("<i4").view(np.int8).reshape(slots, -1, p_i)
            for k in range(words.shape[1]):
                engine.acts.store(dst + k * d["dst_plane"], words[:, k], now, valid, self.access)
            return
        ways = config.p_o // p_i
        present = 2 if self.pair else 1 if ways == 1 or (last and not d["last_words"]) else 2
        valids = [valid] * ways
        total = total * np.tile(records.multiplier, twice)
        if self.has(ComputeFlag.RESIDUAL):
            residual, valids = self._residual(n, shape, now, present)
            total += residual * np.tile(records.residual, twice)
        shift = np.tile(records.shift, twice)
        total = (total + (np.int64(1) << (shift - 1))) >> shift
        result = np.clip(total, d["lo"], d["hi"]).astype(np.int8).reshape(slots, ways, p_i)
        if self.has(ComputeFlag.TO_WEIGHTS):
            require(self.pair, "TO_WEIGHTS without PAIR", self.where)
            granules = np.stack([dst, dst + 1], axis=1).reshape(-1)
            engine.weights.write_granules(granules, result.reshape(-1, p_i), self.number, self.where)
            return
        if self.pair:  # in issue order: a row's overhang is overwritten by the next row's first pixel
            order = np.stack([dst, dst + 1], axis=1).reshape(-1)
            self._store_in_order(order, result.reshape(-1, p_i), np.repeat(now, 2),
                                 np.stack(valids, axis=1).reshape(-1))
            return
        for k in range(present):
            address = dst + k * d["dst_plane"]
            engine.acts.store(address, result[:, k], now, valids[k], self.access)

    def _store_in_order(self, address: np.ndarray, words: np.ndarray, now: np.ndarray, valid: np.ndarray) -> None:
        """Write where later entries win over earlier ones of the same address."""
        _, last = np.unique(address[::-1], return_index=True)
        keep = np.sort(len(address) - 1 - last)
        self.engine.acts.store(address[keep], words[keep], now[keep], valid[keep], self.access)

    def _residual(self, n: np.ndarray, shape: tuple[int, int, int], now: np.ndarray, present: int,
                  ) -> tuple[np.ndarray, list[np.ndarray]]:
        """int64 [slots, p_o] residual values and, per word, whether they are defined."""
        acts, d = self.engine.acts, self.d
        res = self._target("res", n, shape)
        ways = self.config.p_o // self.config.p_i
        values, valids = [], []
        for k in range(ways):
            address = res + k * (1 if self.pair else d["res_plane"])
            if k >= present:
                values.append(np.zeros((len(n), self.config.p_i), np.int64))
                valids.append(np.zeros(len(n), bool))
                continue
            require(int(address.max()) < acts.words, "residual outside activation memory", self.where)
            banks = {int(end) // acts.bank_words for end in (address.min(), address.max())}
            require(not banks & self.src_banks, "input and residual share a bank", self.where)
            defined = acts.valid[address]
            late = defined & (now - acts.slot[address] < self.engine.latency)
            require(not late.any(), "a residual may still be in the pipeline", self.where)
            acts.ordered(address[defined], self.access)
            acts.reader[0, address] = self.access.number
            values.append(acts.data[address].astype(np.int64))
            valids.append(defined)
        return np.concatenate(values, axis=1), valids

    def pool(self) -> None:
        """Window maximum, or window sum."""
        config, d, engine = self.config, self.d, self.engine
        maximum = d["opcode"] == Opcode.MAXPOOL
        plain = d["steps"] == 0 and self.counts[4] == 1 and not self.pair
        require(plain, "a pool with weights or in the pair shape", self.where)
        taps, pixels = self.counts[0] * self.counts[1], self.counts[2] * self.counts[3]
        ways = config.p_o // config.p_i
        pixel, at = np.arange(pixels), 0
        for block in range(self.counts[5]):
            records, used = self._records(at)
            at += used
            present = 1 if ways == 1 or (block == self.counts[5] - 1 and not d["last_words"]) else 2
            total = np.zeros((pixels, config.p_o), np.int64)
            for tap in range(taps):
                n = (block * pixels + pixel) * taps + tap
                now = engine.now + pixel * taps + tap
                src, iy, ix = self._source(n)
                inside = (iy >= 0) & (iy < d["height"]) & (ix >= 0) & (ix < d["width"])
                for k in range(present):
                    word = self._read(src + k * d["res_plane"], inside, now, -128 if maximum else 0)
                    part = total[:, k * config.p_i:(k + 1) * config.p_i]
                    if tap == 0:
                        part[...] = word
                    elif maximum:
                        np.maximum(part, word, out=part)
                    else:
                        part += word
            now = engine.now + pixel * taps + taps - 1
            engine.now += pixels * taps
            self._emit(block, total, records, now, 1 << (config.acc_bits - 1))
