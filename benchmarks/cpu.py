"""What torch takes for one image on this machine's CPU, which must be idle."""

from __future__ import annotations

import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hwgen.data.registry import load_dataset
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
    for count in [*range(1, torch.multiprocessing.cpu_count() + 1)] * CPU_ROUNDS:
        torch.set_num_threads(count)
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
                best, kind = float(np.median(times)) * 1e6, f"{name}, {count} threads"
    torch.set_num_threads(threads)
    return {"us": round(best, 1), "how": kind, "cpu": cpu_name()}
