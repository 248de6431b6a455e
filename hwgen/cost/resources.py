"""Resources for many configurations: memories and multipliers by construction, logic by calibrated formulas."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from hwgen.config.accelerator import AES_ROUNDS, DspPacking, WindowUnit
from hwgen.config.board import Board, Resources
from hwgen.cost.arrays import UNITS, ConfigTable

NAMES = ("dsp", "bram36", "uram", "lut", "ff")
#: (width, depth) shapes of a 36 kbit block with one read and one write port
_BLOCK_SHAPES = ((72, 512), (36, 1024), (18, 2048), (9, 4096), (4, 8192), (2, 16384), (1, 32768))
_URAM_WIDTH, _URAM_DEPTH = 72, 4096
#: lines of the queue in front of the window unit
WINDOW_QUEUE = 512


@dataclass(frozen=True)
class ResourceTable:
    """float64 [N] per resource, and of ``lut`` and ``ff`` what a vendor tool places inside DSP and memory blocks."""

    dsp: np.ndarray
    bram36: np.ndarray
    uram: np.ndarray
    lut: np.ndarray
    ff: np.ndarray
    absorbable_lut: np.ndarray
    absorbable_ff: np.ndarray

    def row(self, index: int) -> Resources:
        """Resources of one configuration, as Yosys maps it."""
        return Resources(**{n: round(float(getattr(self, n)[index]), 1) for n in NAMES})

    def absorbable(self, index: int) -> Resources:
        """Part of ``row`` that a vendor tool places inside DSP and memory blocks."""
        return Resources(dsp=0, bram36=0, uram=0, lut=round(float(self.absorbable_lut[index])),
                         ff=round(float(self.absorbable_ff[index])))

    def times(self, engines: np.ndarray) -> ResourceTable:
        """Of ``engines`` [N] equal engines each; what decodes their registers is not counted."""
        return ResourceTable(**{f.name: getattr(self, f.name) * engines for f in fields(self)})

    def fits(self, have: Resources) -> np.ndarray:
        """Whether each row fits on a board."""
        out = np.ones(len(self.dsp), bool)
        for name in NAMES:
            out &= getattr(self, name) <= getattr(have, name)
        return out


@cache
def calibration() -> Mapping[str, Any]:
    """Coefficients fitted by ``benchmarks/calibrate.py``."""
    return json.loads((Path(__file__).parent / "calibration.json").read_text(encoding="utf-8"))


def features(table: ConfigTable, packing: DspPacking) -> dict[str, np.ndarray]:
    """What the logic formulas are linear in; each is the size of a part of the design."""
    chains = table.p_i // packing.chain
    return {
        "one": np.ones(len(table)),
        "macs": (table.p_i * table.p_o).astype(np.float64),
        "tree": (table.p_o * chains).astype(np.float64),
        "columns": table.p_o.astype(np.float64),
        "words": table.p_i.astype(np.float64),
        "line": table.line_bytes.astype(np.float64),
        "ports": table.axi_ports.astype(np.float64),
    }


def block_rams(width: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """36 kbit blocks of a simple dual-port memory, in the shape that needs fewest (halves count as halves)."""
    best = np.full(np.broadcast(width, depth).shape, np.inf)
    for shape_width, shape_depth in _BLOCK_SHAPES:
        for share in (1.0, 0.5):
            own_width = shape_width * share
            if own_width < 1:
                continue
            best = np.minimum(best, share * np.ceil(width / own_width) * np.ceil(depth / shape_depth))
    return best


def activation_blocks(p_i: np.ndarray | int, act_words: np.ndarray | int, ultra: int) -> np.ndarray:
    """Blocks (UltraRAM if ``ultra``, else 36 kbit blocks) of activation memory: four sub-banks."""
    word, depth = np.asarray(p_i) * 8, np.asarray(act_words) // 2
    if ultra:
        return 4 * np.ceil(word / _URAM_WIDTH) * np.ceil(depth / _URAM_DEPTH)
    return 4 * block_rams(word, np.maximum(depth, 512))


def estimate(table: ConfigTable, board: Board, *, crypto: bool = True, key_bits: int = 128) -> ResourceTable:
    """Resources of every row on ``board``, of all its engines together."""
    packing = board.packing
    macs = table.p_i * table.p_o
    array = macs / (1 if packing is DspPacking.NONE else 2)
    per_lane = _multipliers_per_lane(table.acc_bits, packing)
    line = table.line_bytes * 8
    activations = np.where(table.act_ultra, 0, activation_blocks(table.p_i, table.act_words, 0))
    bank = activation_blocks(table.p_i, table.act_words, 1)
    accumulators = block_rams(table.p_o * table.acc_bits, np.maximum(table.acc_depth, 512))
    program = block_rams(np.full(len(table), 128), table.program_words)
    if board.resources.uram:
        columns = np.ceil(table.p_i * 8 / _URAM_WIDTH) * table.line_columns
        uram = columns * np.ceil(table.weight_lines / _URAM_DEPTH) + np.where(table.act_ultra, bank, 0)
        weights = np.zeros(len(table))
    else:
        uram = np.where(table.act_ultra, bank, 0).astype(np.float64)
        weights = block_rams(line, table.weight_lines)
    logic = {name: _linear(f"{board.family}.{name}", table, packing) for name in
             ("lut", "ff", "absorbable_lut", "absorbable_ff")}
    window = window_resources(table, packing)
    unit = calibration()["crypto"][str(key_bits) if crypto else "none"]
    rounds = -(-AES_ROUNDS[key_bits] // table.aes_cycles)
    port = {name: unit[name] + unit[f"{name}_round"] * rounds for name in ("lut", "ff")}
    return ResourceTable(
        dsp=array + per_lane * table.p_o + window[0],
        bram36=activations + accumulators + program + weights + window[1], uram=uram,
        lut=logic["lut"] + port["lut"] * table.axi_ports + unit["lut_once"],
        ff=logic["ff"] + port["ff"] * table.axi_ports + unit["ff_once"],
        absorbable_lut=logic["absorbable_lut"], absorbable_ff=logic["absorbable_ff"],
    ).times(table.engines)


def window_resources(table: ConfigTable, packing: DspPacking) -> tuple[np.ndarray, np.ndarray]:
    """Multipliers and 36 kbit blocks of the window unit.

    A multiplier per tap and lane and those of a lane's requantisation (no residual) for depthwise convolutions; row
    memories of one row each, and the queue of weight lines.
    """
    able, convolves = table.window != UNITS.index(WindowUnit.NONE), table.has_unit(WindowUnit.DEPTHWISE)
    multipliers = table.p_i * (table.window_kernel ** 2 + _multipliers_per_lane(table.acc_bits, packing) - 1)
    rows = (table.window_kernel - 1) * block_rams(table.p_i * 8, np.maximum(table.window_width, 512))
    queue = block_rams(table.line_bytes * 8, np.full(len(table), WINDOW_QUEUE))
    return np.where(convolves, multipliers, 0), np.where(able, rows + queue, 0)


def _multipliers_per_lane(acc_bits: np.ndarray, packing: DspPacking) -> np.ndarray:
    """Multipliers of a post-processor lane: accumulator x unsigned 16 bit, residual x unsigned 16 bit."""
    return np.ceil(acc_bits / packing.wide_bits) + 1


def _linear(name: str, table: ConfigTable, packing: DspPacking) -> np.ndarray:
    known = calibration()["logic"]
    coefficients: Mapping[str, float] = known.get(name) or known["xcup." + name.split(".", 1)[1]]
    values = features(table, packing)
    return np.maximum(0, sum(coefficients[k] * v for k, v in values.items()))
