"""Synthesise a whole design part by part, from a cache, and add up what it takes."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Collection, Mapping
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
_FORMAT = "6"
#: of Verilog that are synthesised in one run, if more than one part fits
BATCH_LINES = 8000


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
    verilog: str, top: str, family: str, *, cache: Path, progress: Callable[[str], None] = lambda text: None,
) -> DesignReport:
    """Synthesise ``top`` and everything below it for ``family``.

    Args:
        verilog: text of all modules.
        cache: folder for finished parts.
        progress: told which part has been synthesised.
    """
    return _reports({top: Design(verilog, top).parts()}, family, cache, progress)[top]


def synthesise_apart(
    verilog: str, top: str, names: Collection[str], family: str, *, without: Collection[str], cache: Path,
    progress: Callable[[str], None] = lambda text: None,
) -> dict[str, DesignReport]:
    """Synthesise modules of the design ``top``, each placed once.

    Args:
        names: of the modules.
        without: modules that stay empty below others.
        verilog, cache, progress: as for ``synthesise_design``.
    """
    design = Design(verilog, top)
    groups = {name: design.parts(name, [n for n in without if n != name]) for name in names}
    return _reports(groups, family, cache, progress)


def _reports(
    groups: Mapping[str, list[Part]], family: str, cache: Path, progress: Callable[[str], None],
) -> dict[str, DesignReport]:
    tool = yosys_version()
    store = cache / "synthesis"
    store.mkdir(parents=True, exist_ok=True)
    parts = {part.key: part for group in groups.values() for part in group}
    paths = {key: store / f"{content_key([_FORMAT, tool, family, key])}.json" for key in parts}
    missing = [part for key, part in parts.items() if not paths[key].is_file()]
    done = len(parts) - len(missing)
    for batch in _batches(missing):
        for part, report in zip(batch, _synthesise(batch, family), strict=True):
            write_json(paths[part.key], report.to_dict())
            done += 1
            progress(f"{done} of {len(parts)} modules, {part.top}")
    return {name: _sum(tuple((_stored(paths[p.key]), p.count) for p in group), tool) for name, group in groups.items()}


def _sum(pairs: tuple[tuple[ModuleReport, int], ...], tool: str) -> DesignReport:
    raw = {k: sum(getattr(r, k) * n for r, n in pairs) for k in ("dsp", "bram36", "uram", "lut", "ff")}
    absorbed = {"lut": sum(r.absorbable_lut * n for r, n in pairs), "ff": sum(r.absorbable_ff * n for r, n in pairs)}
    return DesignReport(parts=pairs, raw=Resources(**raw),
                        absorbable=Resources(dsp=0, bram36=0, uram=0, **absorbed), tool=tool)


def _batches(parts: list[Part]) -> list[list[Part]]:
    """Parts that share a run of the synthesiser: small ones, so that memory stays bounded and progress is seen."""
    out: list[list[Part]] = []
    room = 0
    for part in parts:
        lines = sum(text.count("\n") for text in part.modules.values())
        if lines > room:
            out.append([])
            room = BATCH_LINES
        out[-1].append(part)
        room -= lines
    return out


def _synthesise(batch: list[Part], family: str) -> list[ModuleReport]:
    tops = [part.top for part in batch]
    modules = {name: text for part in batch for name, text in part.empty.items()}
    for part in batch:
        modules |= part.modules
    with tempfile.TemporaryDirectory() as folder:
        netlist = synthesise("\n".join(modules.values()), tops, family, Path(folder))
    return [analyse(netlist, top) for top in tops]


def _stored(path: Path) -> ModuleReport:
    values: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return ModuleReport.from_dict(dict(values))
