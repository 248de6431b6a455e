"""What the logic of each module of the design grows with.

The design is a sum of modules. Each has a formula that is linear in a few sizes (its ``terms``, read off its source);
the coefficients are fitted to the module synthesised by itself over small configurations (``benchmarks/calibrate.py``)
and used for all. A new module is a new entry of ``MODULES``; until it has one, its logic counts as its parent's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from hwgen.config.accelerator import AES_ROUNDS, DspPacking, WindowUnit, aes_cycles
from hwgen.cost.arrays import ConfigTable
from hwgen.cost.memories import block_rows, ultra_rows
from rtl_templates.crypto.timing import keystream_depth

TOP = "hwgen_accelerator"


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Configurations, and what all of them share.

    Args:
        weights_ultra: weights lie in UltraRAM.
        crypto: with the decryptor.
    """

    table: ConfigTable
    packing: DspPacking
    weights_ultra: bool
    crypto: bool = True
    key_bits: int = 128

    @property
    def chains(self) -> np.ndarray:
        """Multiplier chains of a column."""
        return self.table.p_i / self.packing.chain

    @property
    def sum_bits(self) -> np.ndarray:
        """Width of a column's sum."""
        return 16 + np.log2(self.table.p_i)

    @property
    def groups(self) -> np.ndarray:
        """Column groups of the array."""
        return self.table.p_o / self.table.line_columns

    @property
    def depth_bits(self) -> np.ndarray:
        """Width of an accumulator row's number."""
        return np.log2(self.table.acc_depth)

    @property
    def sum_delay(self) -> np.ndarray:
        """Cycles that a pixel's tag waits for the column sums."""
        return self.packing.chain + 3 + np.log2(self.chains)

    @property
    def aes_rounds(self) -> np.ndarray:
        """Rounds of AES that a port's decryptor has."""
        return self._rounds(self.table.aes_cycles)

    @property
    def spill_rounds(self) -> np.ndarray:
        """The same of the units of protected feature maps."""
        return self._rounds(self.spill_cycles)

    def _rounds(self, cycles: np.ndarray) -> np.ndarray:
        return np.ceil(AES_ROUNDS[self.key_bits] / cycles)

    @property
    def keystream_depth(self) -> np.ndarray:
        """Blocks of key stream that are made ahead of the data."""
        return self._depth(self.table.aes_cycles)

    @property
    def spill_depth(self) -> np.ndarray:
        """The same in the units of protected feature maps."""
        return self._depth(self.spill_cycles)

    def _depth(self, every: np.ndarray) -> np.ndarray:
        known = {cycles: keystream_depth(self.key_bits, cycles) for cycles in aes_cycles(self.key_bits)}
        return np.array([known[cycles] for cycles in every.tolist()], np.float64)

    @property
    def spill_cycles(self) -> np.ndarray:
        """Cycles per block of the units of protected feature maps; 1 where there are none."""
        return np.maximum(self.table.spill_aes_cycles, 1)

    @property
    def window(self) -> np.ndarray:
        """1 with a window unit."""
        return 1.0 - self.table.has_unit(WindowUnit.NONE)

    @property
    def convolves(self) -> np.ndarray:
        """1 with a window unit that convolves."""
        return self.table.has_unit(WindowUnit.DEPTHWISE).astype(np.float64)

    @property
    def taps(self) -> np.ndarray:
        """Taps of the window unit."""
        return self.table.window_kernel ** 2

    @property
    def weight_rows(self) -> np.ndarray:
        """LUTs per bit that select among the blocks of weight memory below one another (a vendor tool cascades
        UltraRAM)."""
        lines = self.table.weight_lines
        return _selection(ultra_rows(lines) if self.weights_ultra else block_rows(self.table.p_i * 8, lines))

    @property
    def bank_rows(self) -> np.ndarray:
        """The same of an activation bank."""
        depth = self.table.act_words / 2
        return _selection(np.where(self.table.act_ultra, ultra_rows(depth), block_rows(self.table.p_i * 8, depth)))


def _selection(inputs: np.ndarray) -> np.ndarray:
    """LUTs per bit of a multiplexer; wide ones use those of the slice, too."""
    return np.where(inputs > 1, np.ceil(inputs / 4), 0)


Size = Callable[[Sizes], np.ndarray]


def _one(s: Sizes) -> np.ndarray:
    return np.ones(len(s.table))


def _words(s: Sizes) -> np.ndarray:
    return s.table.p_i


def _line(s: Sizes) -> np.ndarray:
    return s.table.line_bytes


def _pair(s: Sizes) -> np.ndarray:
    """1 where both halves of the array may have a word of their own."""
    return (s.table.p_o > s.table.p_i).astype(np.float64)


def _halves(s: Sizes) -> np.ndarray:
    """1 where a beat of a memory port holds two words."""
    return (s.table.p_i == 8).astype(np.float64)


def _lanes(s: Sizes) -> np.ndarray:
    return s.table.p_o


def _totals(s: Sizes) -> np.ndarray:
    return s.table.p_o * s.table.acc_bits


def _ports(s: Sizes) -> np.ndarray:
    return s.table.axi_ports


def _key_bits(s: Sizes) -> np.ndarray:
    return np.full(len(s.table), float(s.key_bits))


def _with_crypto(s: Sizes) -> np.ndarray:
    return np.full(len(s.table), float(s.crypto))


@dataclass(frozen=True, kw_only=True)
class LogicModule:
    """A module with a formula of its own.

    Args:
        module: its name in the Verilog text; what is below it belongs to it, unless that is a unit too.
        terms: sizes that one instance's logic is linear in, by name.
        count: instances.
    """

    module: str
    terms: Mapping[str, Size] = field(default_factory=lambda: {"one": _one})
    count: Size = _one


def _engine(name: str, **terms: Size) -> LogicModule:
    return LogicModule(module=f"{TOP}.engine.{name}", terms={"one": _one, **terms})


#: an accumulator wider than one operand takes several multipliers, whose products are added
_REQUANTISE: Mapping[str, Size] = {
    "one": _one, "acc_bits": lambda s: s.table.acc_bits,
    "multipliers": lambda s: np.ceil(s.table.acc_bits / s.packing.wide_bits),
}

MODULES = (
    LogicModule(module="hwgen_column_group", count=lambda s: s.groups, terms={
        "macs": lambda s: s.table.p_i * s.table.line_columns,
        "chains": lambda s: s.chains * s.table.line_columns,
        "tree_bits": lambda s: (s.chains - 1) * s.table.line_columns * s.sum_bits,
        "words": _words,
    }),
    LogicModule(module="hwgen_requantise", count=_lanes, terms=_REQUANTISE),
    LogicModule(module=f"{TOP}.engine", terms={
        "one": _one, "pair": _pair, "words": lambda s: s.table.p_i * (1 + 2 * _pair(s)), "totals": _totals,
        "delay": lambda s: s.sum_delay, "depth_bits": lambda s: s.depth_bits, "window": lambda s: s.window,
    }),
    # with sums as wide as the accumulator, Yosys masks them in LUTs before the adder
    _engine("accumulator", totals=_totals, masked=lambda s: _totals(s) * (s.table.acc_bits <= s.sum_bits)),
    _engine("activations", words=_words, address=lambda s: np.log2(s.table.act_words),
            rows=lambda s: s.table.p_i * s.bank_rows, window=lambda s: s.window,
            window_words=lambda s: s.table.p_i * s.window * _pair(s)),
    _engine("array", words=lambda s: s.table.p_i * (1 + _pair(s)), line=_line, groups=lambda s: s.groups),
    _engine("fetch", window=lambda s: s.window),
    _engine("pool", lanes=_lanes),
    _engine("post", lanes=_lanes),
    _engine("sequencer", depth_bits=lambda s: s.depth_bits),
    _engine("weights", line=_line, rows=lambda s: s.table.line_bytes * s.weight_rows),
    LogicModule(module=f"{TOP}.engine.window", count=lambda s: s.window, terms={
        "one": _one, "line": _line, "row_words": lambda s: s.table.p_i * s.table.window_kernel,
        "records": lambda s: s.table.p_i * s.convolves,
        # a flag follows its output from tap to tap
        "flags": lambda s: s.taps * (s.taps + 1) / 2,
    }),
    LogicModule(module="hwgen_window_lane", count=lambda s: s.table.p_i * s.window, terms={
        "one": _one, "maxima": lambda s: s.taps, "products": lambda s: s.taps * s.convolves}),
    LogicModule(module="hwgen_window_requantise", count=lambda s: s.table.p_i * s.convolves, terms=_REQUANTISE),
    LogicModule(module="hwgen_load_channel", count=_ports),
    LogicModule(module="hwgen_load_channel.packer", count=_ports, terms={
        # two registers of a line, less the oldest beat of the line that is being collected
        "one": _one, "collected": lambda s: 2 * s.table.line_bytes - 16,
        "halves": _halves}),
    LogicModule(module="hwgen_load_channel.unit", count=lambda s: _ports(s) * _with_crypto(s),
         terms={"one": _one, "rounds": lambda s: s.aes_rounds, "keystream": lambda s: s.keystream_depth,
                       "again": lambda s: s.aes_rounds * (s.table.aes_cycles > 1)}),
    LogicModule(module=f"{TOP}.keys", count=_with_crypto, terms={"one": _one, "key_bits": _key_bits}),
    LogicModule(module=f"{TOP}.frame"),
    LogicModule(module=f"{TOP}.load", terms={"one": _one, "ports": _ports}),
    LogicModule(module=f"{TOP}.registers"),
    LogicModule(module=f"{TOP}.store", terms={
        "one": _one, "halves": _halves, "behind_a_beat": lambda s: np.maximum(s.table.p_i - 16, 0)}),
    LogicModule(module=f"{TOP}.writer"),
    # lines and words of all channels meet in multiplexers, six inputs to a LUT
    LogicModule(module=TOP, terms={
        "one": _one, "ports": _ports, "several": lambda s: (s.table.axi_ports > 1).astype(np.float64),
        "multiplexed": lambda s: (s.table.line_bytes + s.table.p_i) * np.ceil(s.table.axi_ports / 3)}),
)
#: decryption: the modules that a design without it does not have
CRYPTO = (f"{TOP}.keys", "hwgen_load_channel.unit")
#: what protected feature maps add, by the formulas of modules of the same kind: a unit of rows in every port, one that
#: encrypts, a second key derivation. Enumerating rows, switching between units and a row's odd word are not counted
PROTECTION = (
    LogicModule(module="hwgen_load_channel.unit", count=lambda s: (_ports(s) + 1) * s.table.protected * _with_crypto(s),
                terms={"one": _one, "rounds": lambda s: s.spill_rounds, "keystream": lambda s: s.spill_depth,
                       "again": lambda s: s.spill_rounds * (s.spill_cycles > 1)}),
    LogicModule(module=f"{TOP}.keys", count=lambda s: s.table.protected * _with_crypto(s),
                terms={"one": _one, "key_bits": _key_bits}),
)
