"""Executes one descriptor of the window unit on the modelled memories, a channel block at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from hwgen.config.accelerator import WINDOW_MIN_WIDTH, AcceleratorConfig, WindowUnit
from hwgen.emulator.loops import accumulate, wrap_signed
from hwgen.emulator.memories import ActivationMemory, Reader, WeightMemory
from hwgen.emulator.order import Known
from hwgen.emulator.records import Records, decode_records
from hwgen.emulator.violation import require
from hwgen.isa.layout import ACT_ADDR_BITS, COORD_BITS, LOOP_NAMES, ComputeFlag, Opcode


class WindowRun:
    """State of one descriptor; arguments as of ``Engine`` and its ``execute``."""

    def __init__(self, config: AcceleratorConfig, acts: ActivationMemory, weights: WeightMemory, *,
                 pump: Callable[[], None], number: int, d: dict[str, int], known: Known) -> None:
        self.config, self.acts, self.weights, self.pump, self.d = config, acts, weights, pump, d
        self.where = f"compute descriptor {number}"
        self.access = Reader(number + 1, known, self.where, window=1)
        self.maximum = d["opcode"] == Opcode.WINDOW_MAX
        counts = [d[f"last_{n}"] + 1 for n in LOOP_NAMES]
        self.row, self.rows, self.columns_out, self.rows_out, _, self.blocks = counts
        able = (WindowUnit.POOL, WindowUnit.DEPTHWISE) if self.maximum else (WindowUnit.DEPTHWISE,)
        require(config.window in able, f"opcode {d['opcode']} without a unit for it", self.where)
        require(WINDOW_MIN_WIDTH <= self.row <= config.window_width, f"rows of {self.row} words", self.where)
        require(counts[4] == 1 and d["steps"] == 0, "l4 or steps in use", self.where)
        require(self.blocks == 1 or self.row * self.rows >= config.window_block_words,
                f"{self.blocks} blocks of {self.row * self.rows} words", self.where)
        allowed = 1 << ComputeFlag.RELEASE
        require(d["flags"] & ~allowed == 0, "flags of the array", self.where)

    def execute(self) -> None:
        """Run it.

        Raises:
            ContractViolation: see the package's documentation.
        """
        d, size = self.d, self.config.window_kernel
        words = self.row * self.rows
        outputs = self.columns_out * self.rows_out
        n = np.arange(outputs * self.blocks)
        shape = (self.columns_out, self.rows_out, self.blocks)
        last_tap = accumulate(n, shape, [d[f"res_jump_{a}"] for a in "xyo"], d["res_base"])
        dst = accumulate(n, shape, [d[f"dst_jump_{a}"] for a in "xyo"], d["dst_base"]) % (1 << ACT_ADDR_BITS)
        iy, ix = (wrap_signed(accumulate(n, shape, [d[f"{name}_jump_{k}"] for k in ("l2", "l3", "l5")],
                                         d[f"{name}_base"]), COORD_BITS) for name in ("iy", "ix"))
        require(bool(np.all(np.diff(last_tap) > 0)) and last_tap[0] >= 0, "outputs are not in the order of their last "
                "taps", self.where)
        address = accumulate(np.arange(words * self.blocks), (self.row, self.rows, self.blocks),
                             [d["src_jump_l0"], d["src_jump_l1"], d["src_jump_l5"]], d["src_base"])
        address %= 1 << ACT_ADDR_BITS
        require(bool(np.all(np.diff(address.reshape(self.blocks, words), axis=1) == 1)), "rows with gaps", self.where)
        for block, (records, taps) in enumerate(self._weights()):
            own = slice(block * outputs, (block + 1) * outputs)
            source = self.acts.fetch(address[block * words:(block + 1) * words], np.zeros(words), 0, self.access)
            total = np.full((outputs, self.config.p_i), -128 if self.maximum else 0, np.int64)
            for tap in range(size * size):
                ky, kx = divmod(tap, size)
                at = last_tap[own] - (size - 1 - ky) * self.row - (size - 1 - kx) - block * words
                inside = ((iy[own] + ky >= 0) & (iy[own] + ky < d["height"])
                          & (ix[own] + kx >= 0) & (ix[own] + kx < d["width"]))
                used = inside if self.maximum else inside & bool(taps[tap].any())
                require(not taps[tap].any() or bool(np.all((at[used] >= 0) & (at[used] < words))),
                        "a tap inside the map is none of the block's words", self.where)
                value = np.zeros((outputs, self.config.p_i), np.int64)
                there = inside & (at >= 0) & (at < words)
                value[there] = source[at[there]]
                if self.maximum:
                    counted = there[:, None] & (taps[tap] != 0)
                    total = np.where(counted, np.maximum(total, value), total)
                else:
                    total += value * taps[tap]
            self._write(dst[own], total, records)

    def _weights(self) -> Iterator[tuple[Records, np.ndarray]]:
        """Records and taps int64 [K*K, p_i] of every channel block."""
        config, d = self.config, self.d
        for block in range(self.blocks):
            at = block * config.window_lines
            self.pump()
            lines = self.weights.stream((d["weight_line"] + at) % self.weights.ring, d["weight_seq"] + at,
                                        config.window_lines, bool(d["flags"] >> ComputeFlag.RELEASE & 1), self.where)
            self.pump()
            raw = lines[:config.window_record_lines].reshape(-1)
            require(not raw[16 * config.p_i:].any(), "bytes behind the records are not zero", self.where)
            records = decode_records(raw[:16 * config.p_i].reshape(config.p_i, 16), self.where, shifted=True)
            raw = lines[config.window_record_lines:].reshape(-1)
            require(not raw[config.window_taps * config.p_i:].any(), "bytes behind the taps are not zero", self.where)
            taps = raw[:config.window_taps * config.p_i].view(np.int8).reshape(config.window_taps, config.p_i)
            yield records, taps.astype(np.int64)

    def _write(self, dst: np.ndarray, total: np.ndarray, records: Records) -> None:
        if not self.maximum:
            limit = 1 << (self.config.acc_bits - 1)
            total = total + records.bias
            require(bool(np.all(np.abs(total) < limit)), "sum and bias overflow", self.where)
            total = (total * records.multiplier + (np.int64(1) << (records.shift - 1))) >> records.shift
        result = np.clip(total, self.d["lo"], self.d["hi"]).astype(np.int8)
        valid = np.ones(len(dst), bool)
        self.acts.store(dst, result, np.zeros(len(dst)), valid, self.access)
