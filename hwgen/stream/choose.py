"""Tensor engine or streaming pipeline: which one a board should get, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hwgen.config.board import Board

#: styles that can be asked for; "auto": whichever is better by the objective
STYLES = ("auto", "engine", "stream")
#: fields of a candidate, as both searches write it
Candidate = Mapping[str, Any]


def _share(candidate: Candidate, board: Board) -> float:
    have = board.resources.to_dict()
    return max(candidate["resources"][name] / have[name] for name in ("dsp", "bram36", "lut", "ff") if have[name])


#: objective -> what it minimises, as in ``hwgen.search.objectives``
_VALUES: dict[str, Callable[[Candidate, Board], float]] = {
    "latency": lambda c, board: (c["cold_cycles"] + c["steady_cycles"]) / 2,
    "throughput": lambda c, board: c["interval_cycles"],
    "area": lambda c, board: _share(c, board) * c["steady_cycles"],
    "energy": lambda c, board: c["energy_uj"],
}


def choose(engine: Candidate | None, stream: Candidate | None, objective: str, board: Board) -> str:
    """"engine" or "stream": the one whose value of ``objective`` is smaller; a style that is None is out."""
    if engine is None or stream is None:
        return "stream" if engine is None else "engine"
    value = _VALUES[objective]
    return "stream" if value(stream, board) < value(engine, board) else "engine"


def explain(
    engine: Candidate | None, stream: Candidate | None, objective: str, board: Board, refused: Mapping[str, str]
) -> str:
    """Both styles' predicted figures, and which one won by what.

    Args:
        refused: style -> why it cannot be built.
    """
    lines = []
    for title, style, found in (("Tensor engine", "engine", engine), ("Streaming pipeline", "stream", stream)):
        if found is None:
            lines.append(f"{title}: {refused.get(style, 'not asked for')}.")
            continue
        clock = found["config"]["clock_mhz"]
        lines.append(
            f"{title}: {found['steady_cycles']:,} cycles a frame that is alone ({found['cold_cycles']:,} cold), "
            f"{found['interval_cycles']:,} cycles from frame to frame at full load = "
            f"{clock * 1e6 / found['interval_cycles']:,.0f} frames a second; {found['resources']['dsp']:,.0f} DSP, "
            f"{found['resources']['lut']:,.0f} LUT (predicted, estimated).")
    chosen = choose(engine, stream, objective, board)
    name = {"engine": "The tensor engine", "stream": "The streaming pipeline"}[chosen]
    if engine is None or stream is None:
        lines.append(f"{name} was chosen: it is the only one of the two that was asked for and is possible.")
    else:
        values = {style: _VALUES[objective](found, board) for style, found in (("engine", engine), ("stream", stream))}
        other = "engine" if chosen == "stream" else "stream"
        lines.append(f"{name} was chosen: by the objective {objective!r} it has {values[chosen]:,.4g}, the other one "
                     f"{values[other]:,.4g} (smaller is better).")
    return "\n".join(lines)
