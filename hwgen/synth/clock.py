"""The clock that a synthesised design supports, from levels of logic and a board's assumed delays.

Not a timing analysis: placement and routing decide. Every level, a carry chain too, counts as a LUT and its net, and
what a vendor tool would move into DSP and memory blocks counts as fabric.
"""

from __future__ import annotations

from hwgen.config.board import Timing
from hwgen.synth.design import DesignReport
from hwgen.synth.netlist import ModuleReport


def path_ns(report: ModuleReport, timing: Timing) -> float:
    """Time of a module's longest path between registers, memories and ports; 0 without logic."""
    fabric = timing.register_ns + report.levels * timing.level_ns if report.ff or report.levels else 0.0
    if report.memory_levels < 0:
        return fabric
    return max(fabric, timing.register_ns + timing.memory_ns + report.memory_levels * timing.level_ns)


def worst_path(report: DesignReport, timing: Timing) -> tuple[str, float]:
    """Module with the longest path, and its time in ns."""
    worst = max((module for module, _ in report.parts), key=lambda module: path_ns(module, timing))
    return worst.name, path_ns(worst, timing)
