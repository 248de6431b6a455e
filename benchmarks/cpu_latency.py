"""Times models on this machine's CPU, one image at a time, and puts that into the rows of docs/armor.md.

    python benchmarks/cpu_latency.py --data FOLDER --models aconvnet_robust,aconvnet_pruned [--write]

The machine must be idle. A model's rows are those whose network has as many parameters and MACs. ``--write`` updates
docs/results/armor.json and the tables of docs/armor.md.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from armor import RESULTS, table
from cpu import cpu_latency
from docs_page import write_section

from hwgen.armor.model import load_model
from hwgen.ir.count import count


def main() -> None:
    """Time, print, and with ``--write`` update docs/."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the data sets")
    parser.add_argument("--models", required=True, help="separated by commas")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    rows = json.loads(RESULTS.read_text(encoding="utf-8"))
    for name in options.models.split(","):
        model = load_model(name)
        found, totals = cpu_latency(model.graph, model.recipe.input, options.data), count(model.graph)
        same = [r for r in rows if (r["parameters"], r["macs"]) == (totals.parameters, totals.macs)]
        for row in same:
            row |= {"cpu_latency_us": found["us"], "cpu": f"{found['cpu']}, {found['how']}"}
        print(f"{name}: {found['us']:,.0f} us ({found['cpu']}, {found['how']}); {len(same)} rows", flush=True)
    if options.write:
        RESULTS.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
        write_section("results", table(rows), "armor.md")


if __name__ == "__main__":
    main()
