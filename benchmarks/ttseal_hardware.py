"""What a set of encrypted cores costs in hardware: cycles by simulation, LUTs and registers by the cost model."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docs_page import ROOT, write_section
from progress import Steps

from hwgen.config.accelerator import Crypto
from hwgen.config.board import load_board
from hwgen.config.system import SystemConfig
from hwgen.cost.arrays import ConfigTable
from hwgen.cost.resources import estimate
from hwgen.pipeline.build import build
from hwgen.pipeline.request import BuildRequest
from hwgen.pipeline.steps.search import load_system
from hwgen.report.figures import read_json

#: set -> ``--encrypt`` of a build; "{selection}" is the file that ``hwgen seal`` wrote
BUILDS = {"none": "none", "chosen": "@{selection}", "all": "all"}


@dataclass(frozen=True)
class Hardware:
    """One set on one board.

    ``cycles``: of a cold frame, key set-up and tag checks included; ``added``: of these, what the same engine and
    program take less without the decryptor (None: not simulated). ``lut``, ``ff``: of the whole design;
    ``decryptor_*``: of these, key manager and decryptors of all ports.
    """

    board: str
    aes_cycles: int
    ports: int
    cycles: int | None
    added: int | None
    lut: float
    ff: float
    decryptor_lut: float
    decryptor_ff: float

    @property
    def added_share(self) -> float | None:
        """Cycles added, as a share of the cycles without the decryptor."""
        return None if self.added is None or self.cycles is None else self.added / (self.cycles - self.added)

    @property
    def area_share(self) -> float:
        """Decryptor's share of the design's LUTs and registers together."""
        return (self.decryptor_lut + self.decryptor_ff) / (self.lut + self.ff)


def measure(model: str, board: str, selection: Path | None, out: Path, *, simulate: bool,
            weights: Path | None = None) -> dict[str, Hardware]:
    """Build ``model`` with every set of ``BUILDS`` ("chosen" only with a ``selection``) in OUT/MODEL-BOARD-SET.

    The search chooses the configuration of each set, decryptors included. Everything finished is reused.

    Args:
        weights: checkpoint of a model that ships without one.
        simulate: run every build with and without its decryptor; otherwise builds stop behind the search.
    """
    found = {}
    for name, encrypt in BUILDS.items():
        if "{selection}" in encrypt and selection is None:
            continue
        folder = out / f"{model}-{board}-{name}"
        print(f"  {folder}", flush=True)
        request = BuildRequest(model=model, board=board, out=folder, encrypt=encrypt.format(selection=selection),
                               weights=weights, measure_crypto=True)
        report = build(request, Steps(), last=None if simulate else "search")
        system = load_system(folder / "search")
        found[name] = hardware(board, system, report if report is not None else _reported(folder))
    return found


def _reported(folder: Path) -> dict[str, Any] | None:
    """The report of an earlier, whole build."""
    path = folder / "report.json"
    return read_json(path) if path.is_file() else None


def hardware(board: str, system: SystemConfig, report: Mapping[str, Any] | None) -> Hardware:
    """Figures of a configuration, and of its simulation if there is a ``report`` of one."""
    config = system.engine
    assert config.crypto is Crypto.GCM
    table, where = ConfigTable.of([system]), load_board(board)
    whole, bare = (estimate(table, where, crypto=crypto, key_bits=config.aes_key_bits).row(0)
                   for crypto in (True, False))
    cycles = report["cycles"]["measured"] if report else None
    added = report["encryption"]["cycles_added"] if report else None
    return Hardware(board=board, aes_cycles=config.aes_cycles, ports=system.ports, cycles=cycles, added=added,
                    lut=whole.lut, ff=whole.ff, decryptor_lut=whole.lut - bare.lut, decryptor_ff=whole.ff - bare.ff)


def table(found: Mapping[str, Hardware]) -> str:
    """Markdown: a row a set."""
    lines = [f"| set, on {next(iter(found.values())).board} | AES-GCM units, cycles per block | cold cycles | added |"
             " decryptor LUT | decryptor FF | of the design's LUT + FF |", "|---|---|---:|---:|---:|---:|---:|"]
    for name, h in found.items():
        share = h.added_share
        cycles = "not simulated" if h.cycles is None else f"{h.cycles:,}"
        added = "not simulated" if share is None else f"{h.added:+,} ({100 * share:.2f} %)"
        lines.append(f"| {name} | {h.ports}, {h.aes_cycles} | {cycles} | {added} |"
                     f" {h.decryptor_lut:,.0f} of {h.lut:,.0f} | {h.decryptor_ff:,.0f} of {h.ff:,.0f} |"
                     f" {100 * h.area_share:.1f} % |")
    return "\n".join([*lines, "", "LUTs and registers are estimates of the cost model (`docs/search.md`), cycles are "
                                  "simulated: same engine and program with and without its decryptors."])


def main() -> None:
    """One network, none and all encrypted, and a selection if there is one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="resnet18_tt")
    parser.add_argument("--board", default="zcu104")
    parser.add_argument("--selection", type=Path, help="selection.json of hwgen seal: the row \"chosen\"")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "ttseal")
    parser.add_argument("--simulate", action="store_true", help="measure the cycles too")
    parser.add_argument("--write", action="store_true", help="update docs/ttseal.md")
    options = parser.parse_args()
    found = measure(options.model, options.board, options.selection, options.out, simulate=options.simulate)
    print(table(found))
    if options.write:
        write_section("hardware", f"{options.model}:\n\n{table(found)}", "ttseal.md")


if __name__ == "__main__":
    main()
