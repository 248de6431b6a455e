"""Resources for many configurations: memories and multipliers by construction, logic by the modules' formulas."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from hwgen.config.board import Board, Resources
from hwgen.cost.arrays import ConfigTable
from hwgen.cost.memories import block_total, multipliers, ultra_total
from hwgen.cost.modules import MODULES, PROTECTION, LogicModule, Sizes

NAMES = ("dsp", "bram36", "uram", "lut", "ff")
#: fitted quantities of a module: as Yosys maps it, and what of that a vendor tool places inside DSP and memory blocks
LOGIC = ("lut", "ff", "absorbable_lut", "absorbable_ff")


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


#: coefficients: module -> quantity of ``LOGIC`` -> term -> value
Coefficients = Mapping[str, Mapping[str, Mapping[str, float]]]


@cache
def calibration() -> Mapping[str, Any]:
    """Of ``benchmarks/calibrate.py``: ``families``: family -> ``Coefficients``, ``source``: family -> text."""
    return json.loads((Path(__file__).parent / "calibration.json").read_text(encoding="utf-8"))


def coefficients(family: str) -> Coefficients:
    """Of a device family; a module that was not fitted for it has the coefficients of UltraScale+."""
    families = calibration()["families"]
    return {**families["xcup"], **families.get(family, {})}


def coefficients_source(family: str) -> str:
    """Where the coefficients for a device family come from."""
    known = calibration()
    common, own = known["source"]["xcup"], known["source"].get(family)
    missing = len(set(known["families"]["xcup"]) - set(known["families"].get(family, {})))
    if own is None:
        return f"not calibrated for {family}: those of UltraScale+, {common}"
    return own if not missing else f"{own}; {missing} modules without multipliers and memories as for UltraScale+"


def module_logic(unit: LogicModule, sizes: Sizes, fitted: Mapping[str, Mapping[str, float]], name: str) -> np.ndarray:
    """Quantity ``name`` of ``LOGIC`` of one instance of a module, float64 [N]."""
    own = fitted[name]
    return sum((own[term] * size(sizes) for term, size in unit.terms.items()), np.zeros(len(sizes.table)))


def estimate(table: ConfigTable, board: Board, *, crypto: bool = True, key_bits: int = 128) -> ResourceTable:
    """Resources of every row on ``board``, of all its engines together."""
    ultra = board.resources.uram > 0
    sizes = Sizes(table=table, packing=board.packing, weights_ultra=ultra, crypto=crypto, key_bits=key_bits)
    fitted = coefficients(board.family)
    logic = {name: np.zeros(len(table)) for name in LOGIC}
    for unit in (*MODULES, *PROTECTION):
        count = unit.count(sizes)
        for name in LOGIC:
            logic[name] += count * module_logic(unit, sizes, fitted[unit.module], name)
    return ResourceTable(
        dsp=multipliers(table, board.packing), bram36=block_total(table, weights_ultra=ultra),
        uram=ultra_total(table, weights_ultra=ultra), **logic,
    ).times(table.engines)
