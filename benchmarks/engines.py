"""How many engines a board is best divided into, for throughput: docs/search.md, docs/results/engines.json.

    python benchmarks/engines.py [--only resnet8,resnet20] [--simulate resnet8:zcu104] [--out FOLDER] [--write]

For every network and board the search runs twice with the objective ``throughput``: over all numbers of engines, and
with one engine. Cycles are predicted, resources estimated. ``--simulate`` builds the chosen designs of the named runs
and proves them: all engines at work at once on one memory, every output compared. ``--write`` updates the two files in
docs/; rows of other networks stay, and so does what was simulated before, as long as the search chooses the same.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from docs_page import ROOT, write_section
from progress import Steps

from hwgen.config.board import load_board
from hwgen.pipeline.build import build
from hwgen.pipeline.request import BuildRequest
from hwgen.pipeline.source import model_source
from hwgen.pipeline.steps.frontend import read_model
from hwgen.search import Candidate, search

NETWORKS = ("resnet8", "resnet20", "resnet18", "resnet18_tt", "resnet18_224")
BOARDS = ("zcu104", "zcu102", "kv260")
COLUMNS = ("network", "board", "engines", "DSP", "one frame", "frames/s", "best single engine", "DSP", "one frame",
           "frames/s", "gain", "simulated cycles per frame", "predicted", "bit-exact")
GOAL = "throughput"


def _design(candidate: Candidate, dsp: float) -> dict[str, Any]:
    config = candidate.config
    hertz = config.clock_mhz * 1e6
    return {"config": candidate.system.to_dict(), "dsp_share": candidate.resources.dsp / dsp,
            "resources": candidate.resources.to_dict(), "frame_ms": candidate.steady_cycles / hertz * 1e3,
            "interval_cycles": candidate.interval_cycles, "frames_per_second": hertz / candidate.interval_cycles}


def predicted(network: str, board_name: str) -> dict[str, Any]:
    """The chosen design and the best one with a single engine."""
    board = load_board(board_name)
    source = model_source(BuildRequest(model=network, board=board_name, out=Path()))
    graph, _ = read_model(source, None)
    chosen, single = (search(graph, board, goal=GOAL, engines=engines).chosen for engines in (None, 1))
    return {"network": network, "board": board_name, "chosen": _design(chosen, board.resources.dsp),
            "single": _design(single, board.resources.dsp), "simulated": None}


def simulated(network: str, board: str, out: Path) -> dict[str, Any]:
    """Build and prove the chosen design."""
    report = build(BuildRequest(model=network, board=board, out=out / f"{network}-{board}-{GOAL}", objective=GOAL,
                                measure_crypto=False), Steps())
    assert report is not None
    cycles, proof = report["cycles"], report["verification"]
    return {"config": report["config"], "cycles_cold": cycles["measured"], "cycles_steady": cycles["measured_steady"],
            "interval_cycles": cycles["measured_interval"], "predicted_interval": cycles["predicted_interval"],
            "bit_exact": proof["bit_exact"], "frames": proof["frames"], "elements_compared": proof["elements_compared"]}


def _design_text(design: dict[str, Any]) -> tuple[str, str, str, str]:
    config = design["config"]
    return (f"{config['engines']} × {config['p_i']}×{config['p_o']}", f"{design['dsp_share']:.1%}",
            f"{design['frame_ms']:.3f} ms", f"{design['frames_per_second']:,.0f}")


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    for row in rows:
        chosen, single, found = row["chosen"], row["single"], row["simulated"]
        measured = ("–", "–", "–") if found is None else (
            f"{found['interval_cycles']:,.0f}",
            f"{found['predicted_interval']:,.0f} ({found['predicted_interval'] / found['interval_cycles'] - 1:+.1%})",
            f"{found['frames']} of {found['frames']}" if found["bit_exact"] else "NO")
        gain = single["interval_cycles"] / chosen["interval_cycles"]
        lines.append("| " + " | ".join((row["network"], row["board"], *_design_text(chosen), *_design_text(single),
                                        f"{gain:.2f}×", *measured)) + " |")
    return "\n".join(lines)


def main() -> None:
    """Run, print, and with ``--write`` update docs/."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "build")
    parser.add_argument("--only", default="")
    parser.add_argument("--simulate", default="")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    results = ROOT / "docs" / "results" / "engines.json"
    known = json.loads(results.read_text(encoding="utf-8")) if results.is_file() else []
    before = {(row["network"], row["board"]): row for row in known}
    only = arguments.only.split(",") if arguments.only else NETWORKS
    wanted = [tuple(run.split(":")) for run in arguments.simulate.split(",") if run]
    rows = []
    for network in NETWORKS:
        for board in BOARDS:
            old = before.get((network, board))
            if network not in only:
                rows += [] if old is None else [old]
                continue
            row = predicted(network, board)
            if (network, board) in wanted:
                print(f"{network} on {board}", flush=True)
                row["simulated"] = simulated(network, board, arguments.out)
            elif old is not None and old["simulated"] and old["simulated"]["config"] == row["chosen"]["config"]:
                row["simulated"] = old["simulated"]
            rows.append(row)
    print(table(rows))
    if arguments.write:
        results.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
        write_section("engines", table(rows), page="search.md")


if __name__ == "__main__":
    main()
