"""What the protection of feature maps costs: cycles of networks that spill, with and without; docs/security.md.

    python benchmarks/protection.py [--simulate --out FOLDER] [--write]

Cycles are predicted from the programs, for the configurations that ``engine.py`` has proven, of resnet20 with a smaller
activation memory, so that it spills. ``--simulate`` builds and proves that one, protected and plain; without it, the
table keeps what was measured before. Logic is estimated.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docs_page import ROOT, write_section
from progress import Steps

from hwgen.compiler.compile import compile_network
from hwgen.config.board import load_board
from hwgen.config.system import SystemConfig
from hwgen.cost.arrays import ConfigTable
from hwgen.cost.memory import MemoryModel
from hwgen.cost.resources import estimate
from hwgen.cost.timeline import predict
from hwgen.pipeline.build import build
from hwgen.pipeline.request import BuildRequest
from hwgen.pipeline.source import model_source
from hwgen.pipeline.steps.frontend import read_model
from hwgen.pipeline.store import write_json
from hwgen.search.refine import skeleton

RESULTS = ROOT / "docs" / "results"
#: network, board, what is changed in the configuration that was proven
RUNS: tuple[tuple[str, str, dict[str, int]], ...] = (
    ("resnet20", "zcu104", {"act_words": 512, "program_words": 4096}), ("resnet18_224", "kv260", {}),
)
#: of RUNS, the one that is simulated
SIMULATED = 0


@dataclass(frozen=True)
class Side:
    """Of one program: bytes of feature maps that cross the ports, cycles, logic of the design."""

    spilled: int
    cold: int
    steady: int
    lut: float
    ff: float


def config_of(network: str, board: str, changes: dict[str, int], *, protect: bool) -> SystemConfig:
    """The configuration that was proven, changed."""
    records = json.loads((RESULTS / "main.json").read_text(encoding="utf-8"))
    (record,) = [r for r in records if (r["network"], r["board"]) == (network, board)]
    engine = SystemConfig.from_dict(record["config"]).engine
    return SystemConfig(engine=engine.replace(**changes, protect_activations=protect,
                                              spill_aes_cycles=1))


def predicted(network: str, board_name: str, changes: dict[str, int], *, protect: bool) -> Side:
    """What the network's program takes."""
    board = load_board(board_name)
    system = config_of(network, board_name, changes, protect=protect)
    graph, _ = read_model(model_source(BuildRequest(model=network, board=board_name, out=Path())), None)
    compiled = compile_network(skeleton(graph, {}), system.engine)
    found = predict(compiled, MemoryModel.of(board))
    logic = estimate(ConfigTable.of([system]), board, key_bits=system.engine.aes_key_bits).row(0)
    return Side(compiled.spilled_bytes, found.cold.cycles, found.steady.cycles, logic.lut, logic.ff)


def measured(network: str, board: str, changes: dict[str, int], out: Path) -> dict[str, list[int]]:
    """Cold and following frame of proven builds, "plain" and "protected"."""
    found = {}
    for name, protect in (("plain", False), ("protected", True)):
        config = out / f"{network}-{name}.json"
        write_json(config, config_of(network, board, changes, protect=protect).to_dict())
        report = build(BuildRequest(model=network, board=board, out=out / f"{network}-{name}", config=config,
                                    protect_activations=protect, measure_crypto=False), Steps())
        assert report is not None and report["verification"]["bit_exact"]
        found[name] = [report["cycles"]["measured"], report["cycles"]["measured_steady"]]
    return found


def table(rows: list[dict[str, Any]]) -> str:
    """The table of docs/security.md."""
    lines = ["| network, board | bytes a frame, plain | with tags | cold cycles, plain | protected | added | LUT added "
             "| FF added |",
             "|---|---:|---:|---:|---:|---:|---:|---:|"]
    for row in rows:
        plain, own = row["plain"], row["protected"]
        for source, cycles in (("predicted", (plain["cold"], own["cold"])),
                               *([("simulated", (row["measured"]["plain"][0], row["measured"]["protected"][0]))]
                                 if row["measured"] else [])):
            lines.append(
                f"| {row['network']}, {row['board']}{row['note']}, {source} | {plain['spilled']:,} "
                f"| {own['spilled']:,} | {cycles[0]:,} | {cycles[1]:,} | {cycles[1] / cycles[0] - 1:+.1%} "
                f"| {own['lut'] - plain['lut']:,.0f} | {own['ff'] - plain['ff']:,.0f} |")
    return "\n".join(lines)


def main() -> None:
    """Predict, simulate if asked to, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulate", action="store_true", help="build and prove the first run")
    parser.add_argument("--out", type=Path, default=Path("build/protection"), help="folder of the builds")
    parser.add_argument("--write", action="store_true", help="update docs/security.md and docs/results/protection.json")
    arguments = parser.parse_args()
    target = RESULTS / "protection.json"
    known = {(r["network"], r["board"]): r for r in json.loads(target.read_text())} if target.is_file() else {}
    rows = []
    for number, (network, board, changes) in enumerate(RUNS):
        sides = {name: vars(predicted(network, board, changes, protect=protect))
                 for name, protect in (("plain", False), ("protected", True))}
        own = known.get((network, board), {}).get("measured")
        if arguments.simulate and number == SIMULATED:
            arguments.out.mkdir(parents=True, exist_ok=True)
            own = measured(network, board, changes, arguments.out)
        note = "".join(f", {name} {value}" for name, value in changes.items() if name == "act_words")
        rows.append({"network": network, "board": board, "note": note, **sides, "measured": own})
        print(table(rows[-1:]), flush=True)
    if arguments.write:
        write_json(target, rows)
        write_section("protection", table(rows), "security.md")


if __name__ == "__main__":
    main()
