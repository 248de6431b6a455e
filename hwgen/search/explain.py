"""Why the chosen configuration won, in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from hwgen.cost.arrays import UNITS
from hwgen.search.objectives import Objective

if TYPE_CHECKING:
    from hwgen.search.result import Evaluated

_LABELS = {
    "p_i": "input channels per cycle", "p_o": "output channels per cycle", "acc_depth": "pixels per tile",
    "axi_ports": "memory ports", "aes_cycles": "cycles per block of a decryptor",
    "spill_aes_cycles": "cycles per block of protected feature maps",
    "weight_lines": "lines of weight memory", "line_columns": "columns per line",
}


def amount(value: float) -> str:
    """A number of resources; tenths rounded up where it is not whole, so that too many never reads as enough."""
    tenths = ceil(round(10 * value, 6))
    return f"{tenths // 10:,}" if tenths % 10 == 0 else f"{tenths / 10:,.1f}"


def explain(found: Evaluated, winner: int, aim: Objective, seconds: float, compiled: Mapping[int, float],
            *, faster: int = 0) -> str:
    """Text of several lines; ``compiled``: objective of the rows whose program was compiled, ``faster`` of them not
    because the model has them among the best, but as the winner with faster decryptors."""
    table, board = found.table, found.board
    values = aim.value(found.figures)
    chosen = found.resources.row(winner)
    engines, dsp = int(table.engines[winner]), board.resources.dsp
    lines = [
        f"{len(table):,} configurations in {seconds:.2f} s, {int(found.fits.sum()):,} fit {board.name}.",
        f"Chosen: {engines} engine{'s' * (engines > 1)}, {'each ' * (engines > 1)}"
        f"{table.p_i[winner]} x {table.p_o[winner]} = {table.p_i[winner] * table.p_o[winner]:,} MACs a cycle, "
        f"{table.axi_ports[winner]} port{'s' * int(table.axi_ports[winner] > 1)} whose decryptors take a block in "
        f"{table.aes_cycles[winner]} cycle{'s' * int(table.aes_cycles[winner] > 1)}, "
        f"{table.acc_depth[winner]} pixels per tile, "
        f"{table.weight_lines[winner]:,} weight lines of {table.line_bytes[winner]} bytes.",
        f"It minimises {aim.text}; among candidates within {aim.tolerance:.1%} the one with the smallest share of DSP, "
        "BRAM, LUT and FF was taken, then the one with most weight memory (UltraRAM serves nothing else), then the one "
        "with the smallest sum of shares.",
        "Takes " + ", ".join(
            f"{getattr(chosen, n):,.0f} of {v:,.0f} {n}" for n, v in board.resources.to_dict().items() if v) + ".",
    ]
    if engines > 1:
        alone, together = found.cost.steady[winner], found.figures.interval[winner]
        lines.append(
            f"The engines work on different frames and share the memory: by the model a frame takes {alone:,.0f} "
            f"cycles on an engine alone and, with all {engines} at work, {together:,.0f} cycles per frame.")
    if compiled:
        twins = f" and {faster} with faster decryptors" if faster else ""
        lines.append(f"{len(compiled) - faster} of the best by the analytic model{twins} were compiled and compared by "
                     "their programs' cycles:")
        lines += [
            f"- {table.engines[row]} x {table.p_i[row]} x {table.p_o[row]}, {table.act_words[row]:,} words of "
            f"activation memory per bank, window unit {UNITS[table.window[row]].value}, a block of AES in "
            f"{table.aes_cycles[row]}: objective "
            f"{'chosen' if row == winner else f'{value / compiled[winner] - 1:+.2%}'}, {value / values[row] - 1:+.1%} "
            "against the model."
            for row, value in sorted(compiled.items(), key=lambda item: item[1])]
        lines.append("What neighbours would cost, by the model:")
    lines += _other_counts(found, winner, values, dsp)
    for field, label in _LABELS.items():
        lines += _neighbours(found, winner, values, field, label)
    return "\n".join(lines)


def _other_counts(found: Evaluated, winner: int, values: np.ndarray, dsp: float) -> list[str]:
    """The best with every other number of engines, whatever its other fields."""
    table, out = found.table, []
    for engines in map(int, np.unique(table.engines)):
        rows = np.flatnonzero(table.engines == engines)
        feasible = rows[found.fits[rows]]
        name = f"{engines} engine{'s' * (engines > 1)}"
        if engines == table.engines[winner]:
            continue
        if not feasible.size:
            out.append(f"- {name}: none fits.")
            continue
        row = feasible[np.argmin(values[feasible])]
        change = values[row] / values[winner] - 1
        verdict = "the same" if abs(change) < 5e-5 else f"{change:+.2%}"
        out.append(f"- {name}: at best {table.p_i[row]} x {table.p_o[row]}, objective {verdict}, "
                   f"{found.resources.dsp[row]:,.0f} DSP ({found.resources.dsp[row] / dsp:.1%}); chosen: "
                   f"{found.resources.dsp[winner]:,.0f} ({found.resources.dsp[winner] / dsp:.1%}).")
    return out


def _neighbours(found: Evaluated, winner: int, values: np.ndarray, field: str, label: str) -> list[str]:
    """The next smaller and larger value of one field with all others unchanged."""
    table = found.table
    same = np.ones(len(table), bool)
    ratio = table.p_o == table.p_i * (table.p_o[winner] // table.p_i[winner])
    free = {field, "act_words", "program_words"}
    if field == "p_i":
        free |= {"p_o", "line_columns", "weight_lines"}
    for other in fields(table):
        if other.name not in free:
            column = getattr(table, other.name)
            same &= column == column[winner]
    if field == "p_i":
        same &= ratio
    out = []
    column = getattr(table, field)
    for step, beyond in (("fewer", column < column[winner]), ("more", column > column[winner])):
        rows = np.flatnonzero(same & beyond)
        if not rows.size:
            continue
        near = column[rows].max() if step == "fewer" else column[rows].min()
        rows = rows[column[rows] == near]
        feasible = rows[found.fits[rows]]
        if feasible.size:
            row = feasible[np.argmin(values[feasible])]
            change = values[row] / values[winner] - 1
            verdict = "the same" if abs(change) < 5e-5 else f"{change:+.2%}"
            share = found.figures.share[row] / found.figures.share[winner] - 1
            out.append(f"- {near:,} {label} ({step}): objective {verdict}, largest resource share {share:+.1%}.")
        else:
            short = found.resources.row(int(rows[0])).shortfall(found.board.resources)
            if short:
                out.append(f"- {near:,} {label} ({step}): does not fit, needs {amount(short[1])} {short[0]}, "
                           f"{found.board.name} has {amount(short[2])}.")
    return out
