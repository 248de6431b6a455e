"""Seconds and peak memory of a whole build with its proof: simulators yet to be compiled, and once more with them.

    python benchmarks/build_time.py [--model resnet18_tt] [--board zcu104] [--write]

Memory is the proportional set size of the build and everything it starts, summed, sampled twice a second (Linux).
``--write`` updates docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from docs_page import write_section

GIB = 2**30


def resident(process: psutil.Process) -> int:
    """Bytes of a process and its descendants, shared pages counted once."""
    total = 0
    for member in (process, *process.children(recursive=True)):
        try:
            total += member.memory_full_info().pss
        except psutil.Error:  # ended meanwhile
            continue
    return total


def measure(command: list[str], environment: dict[str, str]) -> tuple[float, int]:
    """(seconds, peak bytes) of a command; SystemExit if it fails."""
    start, peak = time.perf_counter(), 0
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as build:
        process = psutil.Process(build.pid)
        while build.poll() is None:
            try:
                peak = max(peak, resident(process))
            except psutil.Error:
                break
            time.sleep(0.5)
    if build.returncode:
        raise SystemExit(f"the build failed with exit code {build.returncode}")
    return time.perf_counter() - start, peak


def processor() -> str:
    """The processor's name and the number of cores that may be used."""
    names = [line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
             if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {len(os.sched_getaffinity(0))} cores"


def main() -> None:
    """Build twice, print, and with ``--write`` update docs/."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="resnet18_tt")
    parser.add_argument("--board", default="zcu104")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    lines = ["| build | seconds | peak memory |", "|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "HOME": folder}
        for number, name in enumerate(("cold: the simulators are compiled", "again, into another folder")):
            command = [sys.executable, "-m", "hwgen", "build", "--model", arguments.model, "--board", arguments.board,
                       "--out", f"{folder}/build{number}"]
            seconds, peak = measure(command, environment)
            lines.append(f"| {name} | {seconds:.0f} | {peak / GIB:.2f} GiB |")
            print(lines[-1], flush=True)
    lines += ["", f"{arguments.model} on {arguments.board}, proof of two frames and the run without the crypto unit "
                  f"included; {processor()}."]
    text = "\n".join(lines)
    print(text)
    if arguments.write:
        write_section("build", text)


if __name__ == "__main__":
    main()
