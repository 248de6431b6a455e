"""Which accelerator style a pruning run has, found by search or again from what a run stored."""

from __future__ import annotations

from typing import Any

from hwgen.armor.engine_hardware import EngineHardware
from hwgen.armor.hardware import Hardware
from hwgen.armor.stream_hardware import FIXED, StreamHardware
from hwgen.config.board import Board
from hwgen.config.system import SystemConfig
from hwgen.errors import HwgenError
from hwgen.ir.nodes import Graph
from hwgen.search.search import search
from hwgen.stream.choose import choose


def find_hardware(graph: Graph, board: Board, style: str, objective: str) -> Hardware:
    """The hardware that the search chooses for a network; ``"auto"``: of the style that is better by the objective.

    Raises:
        HwgenError: the board is too small for what was asked for.
    """
    stream = StreamHardware(board, objective)
    if style == "stream":
        stream.cost(graph)
        return stream
    if style == "engine":
        return EngineHardware(board, search(graph, board, goal=objective, engines=1).chosen.system)
    try:
        engine = search(graph, board, goal=objective, engines=1).chosen
    except HwgenError:
        stream.cost(graph)  # which says what is missing if a pipeline is not possible either
        return stream
    try:
        pipeline = stream.candidate(graph).to_dict()
    except HwgenError:
        return EngineHardware(board, engine.system)
    if choose(engine.to_dict(), pipeline, objective, board) == "stream":
        return stream
    return EngineHardware(board, engine.system)


def known_hardware(board: Board, fixed: dict[str, Any], objective: str) -> Hardware:
    """The hardware whose ``fixed`` was stored."""
    return StreamHardware(board, objective) if style_of(fixed) == "stream" else EngineHardware(
        board, SystemConfig.from_dict(fixed))


def style_of(fixed: dict[str, Any]) -> str:
    """"engine" or "stream"."""
    return "stream" if fixed == FIXED else "engine"
