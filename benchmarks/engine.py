"""Builds and proves networks and publishes the engine's figures: docs/benchmarks.md, docs/results/{engine,main}.json.

    python benchmarks/engine.py [--only resnet18_224:pynq-z2,resnet50] [--missing] [--out FOLDER] [--write]

Every run is a whole build: search, quantisation, encrypted image, proof of two frames in simulation with the board's
memory; of the networks in CRYPTO also the same engine without the crypto unit. Networks without a shipped checkpoint
run with seeded weights. ``--write`` updates the files in docs/ after every run: an interrupted series keeps what it has
measured, runs that are not asked for keep their rows. ``--missing`` leaves out what has rows already, ``--only`` takes
networks or network:board. Without a run (``--only none``) the tables are made from the rows alone.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from docs_page import ROOT, write_section
from engine_tables import bars, figures, speed_ups
from progress import Steps

from hwgen.errors import HwgenError
from hwgen.pipeline.build import build
from hwgen.pipeline.request import BuildRequest
from hwgen.pipeline.steps.compile import PROGRAM
from hwgen.pipeline.store import write_json
from hwgen.report.figures import read_json
from hwgen.resources import models_dir
from hwgen.zoo.recipe import load_recipe

#: network, board
RUNS = (
    ("resnet18_224", "zcu104"), ("resnet18_224_tt", "zcu104"), ("resnet50", "zcu104"), ("vgg16_224", "zcu104"),
    ("mobilenetv2", "zcu104"), ("resnet18", "zcu104"), ("resnet18_tt", "zcu104"), ("vgg16", "zcu104"),
    ("vgg16_tt", "zcu104"), ("mobilenetv2_32", "zcu104"), ("mobilenetv2_32_tt", "zcu104"), ("resnet20", "zcu104"),
    ("resnet8", "zcu104"), ("aconvnet", "zcu104"),
    ("resnet18_224", "kv260"), ("resnet18_224", "ultra96v2"), ("resnet18_224", "pynq-z2"),
)
#: networks that are simulated once more without the crypto unit
CRYPTO = frozenset({"resnet18", "resnet18_tt", "resnet20", "aconvnet", "resnet18_224"})
RESULTS = ROOT / "docs" / "results"
#: one record per run, with everything that the tables need; the rows of engine.json are made from it
RECORDS, ROWS = RESULTS / "main.json", RESULTS / "engine.json"


def measure(network: str, board: str, out: Path) -> dict[str, Any]:
    """One record of docs/results/main.json."""
    folder = out / f"{network}-{board}"
    request = BuildRequest(model=network, board=board, out=folder,
                           measure_crypto=network in CRYPTO and board == "zcu104")
    report = build(request, Steps())
    assert report is not None
    return record(report, read_json(folder / "compile" / PROGRAM)["resident"],
                  "x".join(str(n) for n in load_recipe(network).input.shape[1:]))


def record(report: dict[str, Any], resident: bool, size: str) -> dict[str, Any]:
    """The record of a proven build.

    Args:
        report: report.json.
        resident: the weights stay on the chip, so a following frame need not fetch them.
        size: of the input, height x width.
    """
    cycles, proof, memory = report["cycles"], report["verification"], report["memory"]
    moved = memory["input_bytes"] + memory["output_bytes"] + (0 if resident else memory["image_bytes"])
    steady_bound = max(cycles["ideal"], moved / memory["bytes_per_cycle"])
    return {
        "network": report["model"], "input": size, "board": report["board"], "style": "engine",
        "config": report["config"], "weights": report["network"]["weights"], "macs": report["network"]["macs"],
        "parameters": report["network"]["parameters"],
        "predicted_cycles": cycles["predicted"], "cycles_cold": cycles["measured"],
        "predicted_cycles_steady": cycles["predicted_steady"], "cycles_steady": cycles["measured_steady"],
        "mac_efficiency_cold": cycles["mac_efficiency"], "mac_efficiency_steady": cycles["mac_efficiency_steady"],
        "roofline_efficiency_cold": cycles["roofline_efficiency"],
        "roofline_efficiency_steady": steady_bound / cycles["measured_steady"],
        "prediction_error_cold": cycles["prediction_error"],
        "prediction_error_steady": cycles["prediction_error_steady"],
        "crypto_cycles_added": report["encryption"]["cycles_added"],
        "bit_exact": proof["bit_exact"], "frames": proof["frames"], "elements_compared": proof["elements_compared"],
        "seconds": proof["seconds"],
    }


def rows(found: dict[str, Any]) -> list[dict[str, Any]]:
    """The two rows of docs/results/engine.json that a record gives."""
    out = []
    for state, predicted in (("cold", "predicted_cycles"), ("steady", "predicted_cycles_steady")):
        out.append({
            **{name: found[name] for name in ("network", "input", "board", "style", "config")}, "state": state,
            "macs": found["macs"], "cycles": found[f"cycles_{state}"], "predicted_cycles": found[predicted],
            "mac_efficiency": found[f"mac_efficiency_{state}"],
            "roofline_efficiency": found[f"roofline_efficiency_{state}"],
            "bit_exact": found["bit_exact"], "seconds": found["seconds"],
        })
    return out


def known_records(path: Path = RECORDS) -> dict[tuple[str, str], dict[str, Any]]:
    """(network, board) -> record, as last written."""
    values = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    return {(r["network"], r["board"]): r for r in values}


def ordered(records: dict[tuple[str, str], dict[str, Any]]) -> list[dict[str, Any]]:
    """The records of RUNS, in its order."""
    return [records[run] for run in RUNS if run in records]


def selected(only: str, missing: bool, known: dict[tuple[str, str], dict[str, Any]]) -> list[tuple[str, str]]:
    """The runs that the options ask for; SystemExit for a name that is in none."""
    wanted = set(only.split(",")) if only else set()
    names = {"none"} | {network for network, _ in RUNS} | {f"{network}:{board}" for network, board in RUNS}
    if wanted - names:
        raise SystemExit(f"no such run: {', '.join(sorted(wanted - names))}; there are {', '.join(sorted(names))}")
    return [run for run in RUNS if (not wanted or run[0] in wanted or ":".join(run) in wanted)
            and not (missing and run in known)]


def twins() -> dict[str, str]:
    """Compressed network of the zoo -> its dense twin; examples (``sar_sealed``) have none."""
    recipes = (load_recipe(path.stem) for path in sorted(models_dir().glob("*.toml")))
    return {r.name: r.name.removesuffix("_tt") for r in recipes if r.tt.layers and r.name.endswith("_tt")}


def publish(records: dict[tuple[str, str], dict[str, Any]]) -> None:
    """Write docs/."""
    found = ordered(records)
    RESULTS.mkdir(exist_ok=True)
    write_json(RECORDS, found)
    write_json(ROWS, [row for r in found for row in rows(r)])
    write_section("figures", "\n\n".join((figures(found), speed_ups(found, twins()))))
    write_section("bars", bars(found))


def main() -> None:
    """Run, print, and with ``--write`` update docs/."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "build")
    parser.add_argument("--only", default="")
    parser.add_argument("--missing", action="store_true")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    known = known_records()
    failed = []
    for network, board in selected(arguments.only, arguments.missing, known):
        print(f"{network} on {board}", flush=True)
        try:
            known[network, board] = measure(network, board, arguments.out)
        except HwgenError as error:
            failed.append(f"{network} on {board}: {error}")
            print(f"    FAILED: {error}", flush=True)
            continue
        if arguments.write:
            publish(known)
    if arguments.write:
        publish(known)
    found = ordered(known)
    print("\n\n".join((figures(found), speed_ups(found, twins()), bars(found))))
    if failed:
        raise SystemExit("\n".join(("not measured:", *failed)))


if __name__ == "__main__":
    main()
