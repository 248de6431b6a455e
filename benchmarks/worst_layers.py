"""Prints the ten worst layers of every finished build, and why, for docs/benchmarks.md.

    python benchmarks/worst_layers.py [--out BUILDS] [--write]

Reads report.json of the build directories in BUILDS (``hwgen build`` and benchmarks/engine.py make them); builds
without a proof have no measured cycles and are left out. ``--write`` replaces the section of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from docs_page import write_section

from hwgen.report.breakdown import loss_title
from hwgen.report.explain import explain, lost_cycles, worst

ROOT = Path(__file__).resolve().parent.parent
STATE = "cold"
COLUMNS = ("layer", "MACs", "ideal", "simulated", "lost", "of all lost", "why (cycles)")


def reports(builds: Path) -> list[dict[str, Any]]:
    """Reports of the proven builds in a folder, in order of network and board."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in builds.glob("*/report.json")]
    return sorted((r for r in found if r.get("breakdown")), key=lambda r: (r["model"], r["board"]))


def section(report: dict[str, Any]) -> str:
    """Markdown of one network."""
    frame, layers, config = report["breakdown"][STATE], report["layers"], report["config"]
    ideal = sum(layer["ideal"] for layer in layers)
    lost = frame["cycles"] - ideal
    totals = {name: sum(layer["measured"][STATE]["lost"][name] for layer in layers)
              for name in layers[0]["measured"][STATE]["lost"]}
    where = ", ".join(f"{loss_title(name)} {cycles:,.0f}"
                      for name, cycles in sorted(totals.items(), key=lambda item: -item[1]) if round(cycles) > 0)
    shown = worst(layers, STATE)
    lines = [
        f"**{report['model']} on {report['board']}**, {config['p_i']} x {config['p_o']}, {STATE}: {frame['cycles']:,} "
        f"cycles, {ideal:,.0f} ideal, {lost:,.0f} lost: start {frame['start']['cycles']:,}, end "
        f"{frame['end']['cycles']:,}, {where}. The {len(shown)} worst of {len(layers)} layers have "
        f"{sum(lost_cycles(r, STATE) for r in shown) / lost:.0%} of it.",
        "", "| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    for layer in shown:
        mine = lost_cycles(layer, STATE)
        lines.append("| " + " | ".join((
            f"`{layer['name']}`", f"{layer['macs']:,}", f"{layer['ideal']:,.0f}",
            f"{layer['measured'][STATE]['cycles']:,}", f"{mine:,.0f}", f"{mine / lost:.1%}",
            explain(layer, STATE, report))) + " |")
    return "\n".join(lines)


def main() -> None:
    """Print, and with ``--write`` update docs/."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "build")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    found = reports(arguments.out)
    if not found:
        parser.error(f"no proven build in {arguments.out}")
    text = "\n\n".join(section(report) for report in found)
    print(text)
    if arguments.write:
        write_section("worst", text)


if __name__ == "__main__":
    main()
