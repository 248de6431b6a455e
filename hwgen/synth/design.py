"""Synthesise a whole design part by part, from a cache, and add up what it takes."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwgen.config.board import Resources
from hwgen.pipeline.store import write_json
from hwgen.synth.hierarchy import Design, Part
from hwgen.synth.netlist import ModuleReport, analyse
from hwgen.synth.yosys import synthesise, yosys_version
from hwgen_sim.cache import content_key

#: version of what is stored in the cache; raise it when ``analyse`` changes
_FORMAT = "5"


@dataclass(frozen=True, kw_only=True)
class DesignReport:
    """A synthesised design.

    Args:
        parts: reports of the distinct parts with the number of times each is placed.
        raw: everything as Yosys maps it.
        absorbable: of ``raw``, what a vendor tool places inside DSP and memory blocks.
        tool: the synthesiser's version.
    """

    parts: tuple[tuple[ModuleReport, int], ...]
    raw: Resources
    absorbable: Resources
    tool: str

    @property
    def levels(self) -> int:
        """Levels of logic on the longest path inside a part."""
        return max((report.levels for report, _ in self.parts), default=0)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "tool": self.tool, "levels": self.levels,
            "raw": self.raw.to_dict(), "absorbable": self.absorbable.to_dict(),
            "parts": [{"count": count, **report.to_dict()} for report, count in self.parts],
        }


def synthesise_design(
    verilog: str, top: str, family: str, *, cache: Path, uram: bool = False, workers: int = 1,
    progress: Callable[[str], None] = lambda text: None,
) -> DesignReport:
    """Synthesise ``top`` for ``family``.

    Args:
        verilog: text of all modules.
        cache: folder for finished parts.
        uram: map large memories to UltraRAM.
        workers: parts synthesised at the same time.
        progress: told which part is being synthesised.
    """
    parts = Design(verilog, top).parts()
    tool = yosys_version()
    done = 0

    def one(part: Part) -> ModuleReport:
        nonlocal done
        report = _cached(part, family, uram, tool, cache / "synthesis")
        done += 1
        progress(f"{done} of {len(parts)} modules, {part.top}")
        return report

    with ThreadPoolExecutor(workers) as pool:
        reports = list(pool.map(one, parts))
    pairs = tuple(zip(reports, (p.count for p in parts), strict=True))
    raw = {k: sum(getattr(r, k) * n for r, n in pairs) for k in ("dsp", "bram36", "uram", "lut", "ff")}
    absorbed = {"lut": sum(r.absorbable_lut * n for r, n in pairs), "ff": sum(r.absorbable_ff * n for r, n in pairs)}
    return DesignReport(parts=pairs, raw=Resources(**raw),
                        absorbable=Resources(dsp=0, bram36=0, uram=0, **absorbed), tool=tool)


def _cached(part: Part, family: str, uram: bool, tool: str, cache: Path) -> ModuleReport:
    key = content_key([_FORMAT, tool, family, str(uram), part.key, part.verilog])
    path = cache / f"{key}.json"
    if path.is_file():
        values: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return ModuleReport.from_dict(dict(values))
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        netlist = synthesise(part.verilog, part.top, family, Path(folder), blackboxes=part.empty, uram=uram)
    report = analyse(netlist, part.top)
    write_json(path, report.to_dict())
    return report
