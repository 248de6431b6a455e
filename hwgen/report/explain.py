"""Why a layer takes longer than its ideal, in words, from its measured cycles and what is known of its shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import ceil
from typing import Any

from hwgen.report.breakdown import loss_title

#: reasons that cost less than this share of what is lost are not worth words
SMALL_SHARE = 0.1
#: reasons that are named at most
REASONS = 3


def lost_cycles(layer: Mapping[str, Any], state: str) -> float:
    """Measured cycles less ideal cycles of a layer in a frame."""
    return layer["measured"][state]["cycles"] - layer["ideal"]


def worst(layers: Sequence[dict[str, Any]], state: str, count: int = 10) -> list[dict[str, Any]]:
    """The ``count`` layers that lose most cycles, the worst first; equal ones in the order of the program."""
    losing = [layer for layer in layers if lost_cycles(layer, state) > 0]
    return sorted(losing, key=lambda layer: -lost_cycles(layer, state))[:count]


def reasons(layer: Mapping[str, Any], state: str) -> list[tuple[str, float]]:
    """(loss, cycles) of everything that matters, the largest first."""
    lost = layer["measured"][state]["lost"]
    total = sum(cycles for cycles in lost.values() if cycles > 0)
    found = [(name, cycles) for name, cycles in lost.items() if cycles > 0 and cycles >= SMALL_SHARE * total]
    return sorted(found, key=lambda item: -item[1])[:REASONS]


def explain(layer: Mapping[str, Any], state: str, report: Mapping[str, Any]) -> str:
    """One line; "" for a layer that loses nothing.

    Args:
        layer: of report.json, measured.
        state: of the frame.
        report: the layer's, for its configuration and memory.
    """
    parts = []
    for name, cycles in reasons(layer, state):
        why = _WHY[name](layer, state, report) if name in _WHY else ""
        parts.append(f"{loss_title(name)} {cycles:,.0f}" + (f" ({why})" if why else ""))
    return "; ".join(parts)


def _inputs(layer: Mapping[str, Any], state: str, report: Mapping[str, Any]) -> str:
    u = layer["usage"]
    taps = f"{u['kernel'][0]} x {u['kernel'][1]} taps"
    if u["groups"] > 1:
        share = f"{u['inputs'] // u['groups']} of {u['inputs']} channels"
        reads = f"{u['groups']} groups: an output channel reads {share}, {taps}"
    else:
        reads = f"{u['inputs']} input channels, {taps}"
    return f"{reads}: {u['macs_per_output']:,} of {u['input_lanes']:,} lanes have work"


def _outputs(layer: Mapping[str, Any], state: str, report: Mapping[str, Any]) -> str:
    u = layer["usage"]
    lanes = ceil(u["outputs"] / u["columns"]) * u["columns"]
    channels = f"{u['outputs']:,}"
    return f"{channels} output channels in blocks of {u['columns']} lanes: {channels} of {lanes:,} have work"


def _pixels(layer: Mapping[str, Any], state: str, report: Mapping[str, Any]) -> str:
    return f"a row of {layer['usage']['width']} pixels ends in half a pair"


def _without_macs(layer: Mapping[str, Any], state: str, report: Mapping[str, Any]) -> str:
    u = layer["usage"]
    match u["op"]:
        case "QMaxPool" | "QAvgPool":
            return f"a pool of {u['kernel'][0]} x {u['kernel'][1]} windows goes through the array's path word by word"
        case "QAdd":
            return "a sum that no convolution could absorb is a pass of its own"
        case "QConcat":
            return "parts of the concatenation are copied into place"
        case _:
            return "contractions of its kernel, or a copy into the other bank"


def _swap(layer: Mapping[str, Any], state: str, report: Mapping[str, Any]) -> str:
    u = layer["usage"]
    return (f"{u['height']} x {u['width']} pixels: steps of {u['step_slots']:,} cycles, the next tile takes "
            f"{u['tile_lines']:,} to be read")


def _memory(layer: Mapping[str, Any], state: str, report: Mapping[str, Any]) -> str:
    need, has = layer["bytes"] / report["memory"]["bytes_per_cycle"], layer["measured"][state]["busy"]
    if need > has:
        return (f"{layer['bytes']:,} bytes are {need:,.0f} cycles of the memory's bandwidth, the array is through with "
                f"them in {has:,}")
    return f"its {layer['bytes']:,} bytes come behind those of the layers before it"


def _activations(layer: Mapping[str, Any], state: str, report: Mapping[str, Any]) -> str:
    u, parts = layer["usage"], []
    if u["loads"]:
        spilled = "strips of maps in memory" if report["memory"]["spilled_bytes"] else "cores of its kernel"
        what = "the frame's input" if u["reads_input"] else spilled
        # activation memory takes one word per cycle
        rate = min(report["memory"]["bytes_per_cycle"], 16 * report["config"]["axi_ports"], report["config"]["p_i"])
        busy = layer["measured"][state]["busy"]
        parts.append(f"{u['loads']:,} of {layer['descriptors']:,} descriptors wait for {what}: {u['loaded']:,} bytes, "
                     f"{u['loaded'] / rate:,.0f} cycles at {rate:g} bytes a cycle, beside {busy:,} of the array")
    if u["stores"]:
        parts.append(f"{u['stores']:,} wait for stores to free their buffer")
    return ", ".join(parts)


def _drain(layer: Mapping[str, Any], state: str, report: Mapping[str, Any]) -> str:
    if not layer["drains"]:
        return "the layer before still reads its residual, or its results take another path"
    return (f"{layer['drains']:,} of {layer['descriptors']:,} descriptors read what has just been written, and wait "
            "until it has left the pipeline")


def _window(layer: Mapping[str, Any], state: str, report: Mapping[str, Any]) -> str:
    return "it reads what the window unit makes, or writes where that still reads"


def _other(layer: Mapping[str, Any], state: str, report: Mapping[str, Any]) -> str:
    if layer["usage"]["raw"]:
        return "raw results leave in several words a pixel"
    each = layer["measured"][state]["stall_other"] / layer["descriptors"]
    return f"{layer['descriptors']:,} descriptors, {each:.0f} cycles each to fetch and prepare"


_WHY: dict[str, Callable[[Mapping[str, Any], str, Mapping[str, Any]], str]] = {
    "idle_inputs": _inputs, "idle_outputs": _outputs, "idle_pixels": _pixels, "without_macs": _without_macs,
    "swap": _swap, "memory": _memory, "stall_act": _activations, "stall_drain": _drain, "stall_window": _window,
    "stall_other": _other,
}
