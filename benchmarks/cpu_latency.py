"""Times models on this machine's CPU, one image at a time, and puts that into the rows of docs/armor.md.

    python benchmarks/cpu_latency.py --data FOLDER --models aconvnet_robust,aconvnet_pruned [--write]

The machine must be idle. A model's rows are those whose network has as many parameters and MACs. ``--write`` updates
docs/results/armor.json and the tables of docs/armor.md. Other benchmarks take ``cpu_latency`` from here.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from armor_tables import RESULTS, table
from docs_page import write_section

from hwgen.armor.model import load_model
from hwgen.data.registry import load_dataset
from hwgen.ir.count import count
from hwgen.ir.nodes import Graph
from hwgen.train.graph_module import GraphModule
from hwgen.zoo.recipe import InputSpec

#: how often a network is timed in every way; the best counts
CPU_ROUNDS = 3


def cpu_name() -> str:
    """The processor, as it names itself."""
    path = Path("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in path.read_text(encoding="utf-8").splitlines()
             if line.startswith("model name")] if path.is_file() else []
    return f"{len(names)} x {names[0]}" if names else platform.processor() or platform.machine()


def cpu_latency(graph: Graph, spec: InputSpec, data: Path) -> dict[str, Any]:
    """Best median of microseconds for one test image on this CPU, of eager and compiled torch and of 1 .. n threads."""
    module = GraphModule(graph).eval()
    image = load_dataset(spec.dataset, data, "test", spec.shape, spec.classes or spec.class_count).images[:1]
    x = torch.from_numpy(image).float()
    module = torch.export.export(module, (x,)).module()  # weights as constants, which the compiler can use
    best, kind = float("inf"), ""
    threads = torch.get_num_threads()
    for used in [*range(1, torch.multiprocessing.cpu_count() + 1)] * CPU_ROUNDS:
        torch.set_num_threads(used)
        torch.compiler.reset()  # compiled code keeps the number of threads that it was made with
        for name, network in (("eager", module), ("compiled", torch.compile(module))):
            with torch.inference_mode():
                for _ in range(20):
                    network(x)
                times = []
                for _ in range(200):
                    start = time.perf_counter()
                    network(x)
                    times.append(time.perf_counter() - start)
            if np.median(times) * 1e6 < best:
                best, kind = float(np.median(times)) * 1e6, f"{name}, {used} threads"
    torch.set_num_threads(threads)
    return {"us": round(best, 1), "how": kind, "cpu": cpu_name()}


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
