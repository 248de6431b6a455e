"""The figures of a build: report.json, from what the steps have written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import hwgen.cost
from hwgen.config.board import Board
from hwgen.config.system import SystemConfig
from hwgen.cost.limit import limit_cycles
from hwgen.cost.resources import coefficients_source
from hwgen.errors import HwgenError
from hwgen.report.breakdown import frame_breakdown, predicted_cycles

#: version of report.json
FORMAT = 1
#: frames that are broken down by layers: the first one, and the one after it
STATES = ("cold", "steady")


@dataclass(frozen=True, kw_only=True)
class Sources:
    """What the report is made from.

    Args:
        model: name of the model; board: of the build.
        weights: kind ("trained", "user", "seeded") and text: where they come from.
        compress, search, accuracy, program, sealing, layers, frames: what the steps wrote.
        proof: of the verification; None when it did not run.
        synthesis: None when it did not run.
        steps: step -> seconds.
    """

    model: str
    board: Board
    weights: dict[str, str]
    compress: dict[str, Any]
    search: dict[str, Any]
    system: SystemConfig
    accuracy: dict[str, Any]
    program: dict[str, Any]
    sealing: dict[str, Any]
    layers: list[dict[str, Any]]
    frames: dict[str, Any]
    proof: dict[str, Any] | None
    synthesis: dict[str, Any] | None
    steps: dict[str, float]


def read_json(path: Path) -> Any:
    """A JSON file of an earlier step; HwgenError if it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise HwgenError(f"cannot be read: {error}", where=str(path), hint="build again") from error


def model_error() -> dict[str, Any] | None:
    """Errors of the cost model on held-out networks and configurations, as last measured; None before that."""
    path = Path(hwgen.cost.__file__).with_name("error.json")
    return read_json(path) if path.is_file() else None


def make_report(s: Sources) -> dict[str, Any]:
    """All figures; groups say whether they are simulated, predicted, estimated, measured or recorded."""
    program, config, board = s.program, s.system.engine, s.board
    breakdown, layers = _breakdown(s)
    cycles = _cycles(s)
    cold = cycles["measured"] or cycles["predicted"]
    steady = cycles["measured_steady"] or cycles["predicted_steady"]
    hertz = config.clock_mhz * 1e6
    chosen = s.search["chosen"]
    return {
        "format": FORMAT,
        "model": s.model,
        "board": board.name,
        "config": s.system.to_dict(),
        "source": "simulated" if s.proof else "predicted",
        "network": {**{k: s.compress[k] for k in ("parameters", "macs", "dense_parameters", "dense_macs")},
                    "weights": s.weights["kind"], "weights_origin": s.weights["text"]},
        "accuracy": s.accuracy,
        "cycles": cycles,
        "latency_ms": cold / hertz * 1e3,
        "latency_steady_ms": steady / hertz * 1e3,
        "throughput_fps": hertz / (cycles["measured_interval"] or cycles["predicted_interval"]),
        "energy_uj": {"estimated": chosen.get("energy_uj"), "source": "estimated, order of magnitude"},
        "resources": {
            "estimated": chosen["resources"],
            "estimated_absorbable": chosen["absorbable"], "estimated_source": coefficients_source(board.family),
            "synthesised": s.synthesis["raw"] if s.synthesis else None,
            "synthesised_absorbable": s.synthesis["absorbable"] if s.synthesis else None,
            "levels": s.synthesis["levels"] if s.synthesis else None,
            "clock": {k: s.synthesis[k] for k in ("worst_module", "worst_ns", "clock_mhz")} if s.synthesis else None,
            "modules": _modules(s.synthesis),
            "available": board.resources.to_dict(),
            "shares": {name: chosen["resources"][name] / have for name, have in board.resources.to_dict().items()
                       if have},
        },
        "encryption": {
            "bytes_encrypted": s.sealing["bytes_encrypted"], "bytes_total": s.sealing["bytes_total"],
            "cycles_added": s.proof["cycles_added"] if s.proof else None,
            "segments": s.sealing["segments"], "layers": program["encrypted"],
            "selection": program.get("selection"),
        },
        "verification": _verification(s),
        "memory": {
            "bytes_per_cycle": board.bytes_per_cycle, "latency_cycles": board.latency_cycles,
            "image_bytes": program["payload_bytes"], "input_bytes": program["input_bytes"],
            "output_bytes": program["output_bytes"], "transferred": program["transferred"],
            "scratch_bytes": program["scratch_bytes"], "spilled_bytes": program["spilled_bytes"],
            "spilled_protected": config.protect_activations if program["spilled_bytes"] else None,
        },
        "search": {k: s.search[k] for k in ("considered", "feasible", "seconds", "explanation", "front")},
        "layers": layers,
        "breakdown": breakdown,
        "timeline": program["predicted"]["cold"],
        "model_error": model_error(),
        "steps": s.steps,
    }


def _cycles(s: Sources) -> dict[str, Any]:
    program, config, board = s.program, s.system.engine, s.board
    macs = s.compress["macs"]
    ideal = ceil(macs / config.macs_per_cycle)
    moved = program["payload_bytes"] + program["input_bytes"] + program["output_bytes"]
    roofline = max(ideal, ceil(moved / board.bytes_per_cycle))
    measured = s.proof["cycles"][0] if s.proof else None
    steady = s.proof["cycles"][1] if s.proof else None
    predicted, following = (program["predicted"][k]["cycles"] for k in ("cold", "steady"))
    together = s.proof["together"] if s.proof else None
    batch = s.proof.get("batch") if s.proof else None
    interval = batch["interval"] if batch else together["cycles"] / together["frames"] if together else steady
    work = [(layer["macs"] / config.macs_per_cycle, layer["lines"] * config.line_bytes) for layer in program["layers"]]
    limit = limit_cycles(work, min(board.bytes_per_cycle, 16 * config.axi_ports),
                         program["ring_lines"] * config.line_bytes + 2 * config.p_i * config.p_o)
    return {
        "measured": measured, "measured_steady": steady, "predicted": predicted, "predicted_steady": following,
        "measured_interval": interval, "predicted_interval": program["predicted"]["interval"],
        "ideal": ideal, "roofline": roofline, "limit": round(limit),
        "mac_efficiency": ideal / (measured or predicted), "mac_efficiency_steady": ideal / (steady or following),
        "mac_efficiency_interval": ideal / s.system.engines / (interval or program["predicted"]["interval"]),
        "roofline_efficiency": roofline / (measured or predicted), "roofline_limit": roofline / max(limit, roofline),
        "prediction_error": predicted / measured - 1 if measured else None,
        "prediction_error_steady": following / steady - 1 if steady else None,
        "source": "simulated, hardware counters" if measured else "predicted",
        "definitions": {
            "measured": "start-register write to interrupt, first frame: program, keys and weights are fetched",
            "measured_steady": "the following frame of the same series",
            "measured_interval": "cycles per frame of all engines at work: first start to last interrupt, divided by "
                                 "the frames; with one engine, measured_steady; of a streaming pipeline: between the "
                                 "results of the last two frames of a batch",
            "ideal": "MACs of the network divided by MACs per cycle of the array",
            "roofline": "the larger of ideal and bytes of image, input and output, unpadded and once each, divided by "
                        "bytes per cycle",
            "limit": "what the configuration cannot beat: ideal compute while weights stream through its buffer",
        },
        "counters": s.proof["counters"] if s.proof else None,
        "together": together, "batch": batch,
    }


def _verification(s: Sources) -> dict[str, Any]:
    names = ("bit_exact", "frames", "mismatches", "elements_compared", "simulator", "seconds")
    if s.proof is None:
        return {**dict.fromkeys(names), "frames": 0, "elements_compared": 0, "images": s.frames["origin"],
                "tensors": s.frames["tensors"]}
    return {**{n: s.proof[n] for n in names}, "images": s.proof["images"], "tensors": s.frames["tensors"],
            "simulator_cached": s.proof["simulator_cached"], "build_seconds": s.proof["build_seconds"]}


def _breakdown(s: Sources) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """Cycles outside the layers, per frame, and the table of layers; measured only where the proof ran."""
    rows = _layers(s)
    if s.proof is None or s.system.engine.pipeline is not None:
        return None, rows
    frames = {}
    for state in STATES:
        rates = (s.system.engine.array_macs_per_cycle, s.system.engine.macs_per_cycle)
        frames[state], measured = frame_breakdown(s.proof["rows"][state], s.program["layers"], rates)
        for row, one in zip(rows, measured, strict=True):
            row["measured"] = {**(row["measured"] or {}), state: one}
    return frames, rows


def _layers(s: Sources) -> list[dict[str, Any]]:
    """One row per layer: work, predicted time, ideal time, bytes, noise, what explains its cycles."""
    quality = {q["name"]: q for q in s.layers}
    spans, pipeline = s.program["predicted"]["cold"]["spans"], s.system.engine.pipeline is not None
    predicted = {state: [layer["cycles"] for layer in s.program["layers"]] if pipeline else
                 predicted_cycles(s.program["predicted"][state]["spans"], s.program["layers"]) for state in STATES}
    encrypted = set(s.program["encrypted"])
    rows = []
    for number, layer in enumerate(s.program["layers"]):
        name = layer["node"]
        rows.append({
            "name": name, "macs": layer["macs"], "shape": layer["shape"], "descriptors": len(layer["descriptors"]),
            "drains": layer["drains"],
            "cycles": predicted["cold"][number], "cycles_steady": predicted["steady"][number],
            "wait_weights": sum(spans[n]["wait_weights"] for n in layer["descriptors"]),
            "ideal": layer["macs"] / s.system.engine.macs_per_cycle,
            "bytes": layer["lines"] * s.system.engine.line_bytes, "encrypted": name in encrypted,
            "sqnr_db": quality.get(name, {}).get("sqnr_db"), "usage": layer["usage"], "measured": None,
        })
    return rows


def _modules(synthesis: Mapping[str, Any] | None) -> list[dict[str, Any]] | None:
    if synthesis is None:
        return None
    keys = ("name", "count", "dsp", "bram36", "uram", "lut", "ff", "absorbable_lut", "absorbable_ff", "levels", "path")
    return [{k: part[k] for k in keys} for part in synthesis["parts"]]
