"""Where the cycles of every layer went: measured rows per descriptor, summed per layer and put beside the ideal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

#: what a layer loses against its ideal -> how people call it; a stall that is not here goes by its counter's name
LOSSES = {
    "idle_inputs": "unused input lanes",
    "idle_outputs": "unused output lanes",
    "idle_pixels": "pixels behind the row",
    "without_macs": "passes without MACs",
    "idle_units": "multipliers beside the array",
    "swap": "tile swap longer than the step",
    "memory": "weights not yet there",
    "stall_act": "activations not yet there",
    "stall_drain": "draining before a dependent layer",
    "stall_window": "waiting for the window unit",
    "stall_other": "between descriptors",
}


def loss_title(name: str) -> str:
    """A loss in words."""
    return LOSSES.get(name, name.replace("_", " "))


def predicted_cycles(spans: Sequence[Mapping[str, Any]], layers: Sequence[Mapping[str, Any]]) -> list[float]:
    """Predicted cycles of every layer, attributed like the measured ones: a descriptor of the array has the cycles
    behind the last pixel of the one before, the first one those from its first pixel on; one beside the array has its
    own.

    Args:
        spans: of all descriptors, in program order.
        layers: of the compiled program.
    """
    beside = {n for layer in layers if layer["shape"] == "window" for n in layer["descriptors"]}
    cycles, before = [], None
    for n, span in enumerate(spans):
        cycles.append(span["end"] - (span["start"] if before is None or n in beside else before))
        before = before if n in beside else span["end"]
    return [sum(cycles[n] for n in layer["descriptors"]) for layer in layers]


def frame_breakdown(rows: Mapping[str, Any], layers: Sequence[Mapping[str, Any]], rates: tuple[int, int]
                    ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """One frame.

    Args:
        rows: as written by ``hwgen.verify.rows.rows_of``.
        layers: of the compiled program, with ``usage``.
        rates: MACs per cycle of the array, and of everything.

    Returns:
        what belongs to no layer: ``counters``, ``cycles``, ``start`` and ``end``, each cycles and counters; and one
        entry per layer: ``cycles``, every counter, ``beside`` (cycles in which the unit beside the array worked on it;
        they are hidden behind other layers, or waited for by them), ``efficiency`` (None without MACs or cycles) and
        ``lost``, whose parts add up to cycles - ideal.
    """
    names = tuple(rows["counters"])
    cycles, counts = np.array(rows["cycles"], np.int64), np.array(rows["counts"], np.int64)
    row_of = {position: row for row, position in enumerate(rows["descriptors"], start=1)}
    out = []
    for layer in layers:
        mine = [row_of[n] for n in layer["descriptors"] if n in row_of]
        counters = dict(zip(names, counts[mine].sum(axis=0).tolist(), strict=True))
        beside = sum(rows["beside"].get(str(n), 0) for n in layer["descriptors"])
        out.append({**_layer(layer, int(cycles[mine].sum()), counters, rates), "beside": beside})

    def outside(row: int) -> dict[str, int]:
        return {"cycles": int(cycles[row]), **dict(zip(names, counts[row].tolist(), strict=True))}

    return {"counters": list(names), "cycles": int(cycles.sum()), "start": outside(0), "end": outside(-1)}, out


def _layer(layer: Mapping[str, Any], cycles: int, counters: dict[str, int], rates: tuple[int, int]) -> dict[str, Any]:
    usage, (array, everything) = layer["usage"], rates
    ideal = layer["macs"] / everything
    in_array = layer["macs"] if usage["array"] else 0
    stalls = {name: count for name, count in counters.items() if name.startswith("stall_")}
    weights = stalls.pop("stall_weights")
    swap = min(weights, usage["swap"])
    lost = {
        "idle_inputs": usage["idle_inputs"], "idle_pixels": usage["idle_pixels"],
        "idle_outputs": usage["array"] - usage["idle_inputs"] - usage["idle_pixels"] - in_array / array,
        "without_macs": usage["without_macs"], "idle_units": in_array / array - ideal,
        "swap": swap, "memory": weights - swap, **stalls,
    }
    return {"cycles": cycles, **counters, "efficiency": ideal / cycles if cycles and ideal else None, "lost": lost}
