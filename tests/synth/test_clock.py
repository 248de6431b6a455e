"""Estimated paths, by hand."""

from __future__ import annotations

import pytest

from hwgen.config.board import Resources, Timing, board_names, load_board
from hwgen.synth.clock import path_ns, worst_path
from hwgen.synth.design import DesignReport
from hwgen.synth.netlist import ModuleReport

TIMING = Timing(level_ns=0.5, register_ns=0.25, memory_ns=1.0)
NOTHING = Resources(dsp=0, bram36=0, uram=0, lut=0, ff=0)


def _module(name: str, levels: int, memory_levels: int, ff: int = 1) -> ModuleReport:
    return ModuleReport(name=name, dsp=0, bram36=0, uram=0, lut=0, ff=ff, carry_cells=0, absorbable_lut=0,
                        absorbable_ff=0, levels=levels, memory_levels=memory_levels, path=())


@pytest.mark.parametrize(("levels", "memory_levels", "ff", "ns"),
                         [(4, -1, 1, 2.25), (4, 1, 1, 2.25), (4, 3, 1, 2.75), (0, 0, 0, 1.25), (0, -1, 0, 0.0)])
def test_path(levels: int, memory_levels: int, ff: int, ns: float) -> None:
    assert path_ns(_module("m", levels, memory_levels, ff), TIMING) == ns


def test_worst_path_is_named() -> None:
    parts = ((_module("a", 3, -1), 1), (_module("b", 2, 2), 4), (_module("c", 1, -1), 1))
    report = DesignReport(parts=parts, raw=NOTHING, absorbable=NOTHING, tool="")
    assert worst_path(report, TIMING) == ("b", 2.25)


@pytest.mark.parametrize("name", board_names())
def test_six_levels_meet_the_clock_of_every_board(name: str) -> None:
    board = load_board(name)
    assert path_ns(_module("m", 6, 0), board.timing) <= 1e3 / board.clock_mhz
