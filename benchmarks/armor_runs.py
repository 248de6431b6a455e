"""Pruning runs that ``armor.py`` compares: where their networks are, and what these cost.

Plain methods know no hardware, so one run of them serves both styles of accelerator; its networks are priced for each.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hwgen.armor.front import read_json
from hwgen.armor.model import load_model
from hwgen.armor.run import ENOUGH, EVENTS, points_of
from hwgen.armor.stream_hardware import FIXED
from hwgen.armor.styles import find_hardware, known_hardware
from hwgen.armor.sweep import SweepTask
from hwgen.config.board import load_board
from hwgen.pipeline.graphfile import load_graph
from hwgen.ttseal.folder import SETTINGS


def folder_of(task: SweepTask) -> Path:
    """The folder of the task's run: its own, or that of a finished one with the same settings for the other style,
    where hardware has no part in it (a plain method, one search)."""
    own, settings = Path(task.out), task.settings
    if settings.method == "guided" or settings.rounds > 1 or settings.style == "auto" or (own / EVENTS).is_file():
        return own
    wanted = {"settings": {**settings.of_points(), "style": ""}, "model": task.model, "board": task.board,
              "checkpoint": load_model(task.model, Path(task.weights) if task.weights else None).checkpoint}
    wanted = json.loads(json.dumps(wanted))
    for events in sorted(own.parent.parent.glob(f"*/{own.name}/{EVENTS}")):
        if not (events.parent / SETTINGS).is_file():
            continue
        known = read_json(events.parent / SETTINGS)
        same = {**{field: known[field] for field in wanted}, "settings": {**known["settings"], "style": ""}}
        if same == wanted and finished(events.parent) and (
                read_json(events)[-1]["reason"] != ENOUGH or len(points_of(events.parent)) > settings.max_points):
            return events.parent
    return own


def finished(folder: Path) -> bool:
    """Whether a run has come to its end."""
    events = read_json(folder / EVENTS)
    return bool(events) and events[-1]["event"] == "finished"


def network_file(point: dict[str, Any]) -> Path:
    """The point's network."""
    return Path(point["folder"]) / "points" / f"{point['point']:03}.safetensors"


def priced(points: Sequence[dict[str, Any]], style: str, objective: str) -> list[dict[str, Any]]:
    """``points`` as accelerators of ``style``, on the configuration that the search finds for the unpruned network."""
    found, fixed = list[dict[str, Any]](), dict[str, dict[str, Any]]()
    for point in points:
        if style in ("auto", point["style"]):
            found.append(point)
            continue
        folder = point["folder"]
        if folder not in fixed:
            unpruned = load_graph(network_file({**point, "point": 0}))
            fixed[folder] = find_hardware(unpruned, load_board(point["board"]), style, objective).fixed
        moved = {**point, "style": style, "config": fixed[folder]}
        found.append({**moved, **designed(moved, objective)})
    return found


def designed(point: dict[str, Any], objective: str) -> dict[str, Any]:
    """What the point would be built as now; a run that was pruned long ago stored what was predicted then."""
    board, graph = load_board(point["board"]), load_graph(network_file(point))
    fixed = FIXED if point["style"] == "stream" else point["config"]
    design = known_hardware(board, fixed, objective).design(graph)
    return {"cycles": round(design.cold), "steady_cycles": round(design.steady),
            "interval_cycles": round(design.interval), "cycles_from": design.origin,
            "latency_us": round(design.cold / board.clock_mhz, 2),
            "steady_latency_us": round(design.steady / board.clock_mhz, 2),
            "energy_uj_estimated": round(design.energy_uj, 2), "config": design.system.to_dict()}
