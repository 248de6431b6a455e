"""cocotb module: runs a job (frames of one image) on the simulated system through the shipped driver.

The job is the JSON file named by the setting HWGEN_SIM_JOB, the key the setting HWGEN_SIM_KEY (hexadecimal, empty:
none); the job names the files for the results. Expected outputs are none of this process's business.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.task import bridge
from cocotb.triggers import FallingEdge

from hwgen.driver import Accelerator, AcceleratorError, DriverError, Image
from hwgen_sim.bus import SimulatedBus

#: what the output buffer holds before a frame
UNTOUCHED = 0xA5
#: in the exchange folder; see cycle_monitor.sv
EVENTS = "counters.txt"


def _drive(dut: Any, job: dict[str, Any], key: bytes) -> list[dict[str, Any]]:
    """The synchronous part: what a person's program would do."""
    bus = SimulatedBus(dut, Path(job["exchange"]), cycles_per_second=1e6)
    accelerator = Accelerator(bus, timeout=job["timeout_cycles"] / 1e6)
    if key:
        accelerator.set_key(key)
    accelerator.set_watchdog(job["watchdog"])
    accelerator.set_minimum_version(job["minimum_version"])
    image = Image.load(job["image"])
    accelerator.load(image, check_config=job["check_config"])
    if job["fault"] is not None:
        buffer = {"image": 0, "input": 1, "output": 2, "scratch": 3}[job["fault"]["where"]]
        dut.error_addr.value = accelerator.buffers[buffer].address + job["fault"]["offset"]
        dut.error_enable.value = 1
    results = []
    events = Path(job["exchange"]) / EVENTS
    for number, frame in enumerate(job["frames"]):
        seen = events.stat().st_size
        output = accelerator.buffers[2]
        blank = bytes([UNTOUCHED]) * output.size
        output.write(blank)
        result: dict[str, Any] = {"error": 0, "segment": 0, "message": "", "output": None, "dumps": {}, "counters": {}}
        try:
            done = accelerator.run(np.load(frame["input"]), warm=frame["warm"])
        except AcceleratorError as error:
            result |= {"error": error.code, "segment": error.segment, "message": str(error), "warm": False,
                       "counters": accelerator.counters()}
        except DriverError as error:
            result |= {"error": -1, "message": str(error), "warm": False, "counters": accelerator.counters()}
        else:
            folder = Path(job["folder"])
            for name, tensor in {"output": done.output, **{f"dump_{k}": v for k, v in done.dumps.items()}}.items():
                path = folder / f"frame_{number}_{len(os.listdir(folder))}.npy"
                np.save(path, tensor)
                if name == "output":
                    result["output"] = str(path)
                else:
                    result["dumps"][name.removeprefix("dump_")] = str(path)
            result |= {"counters": done.counters, "warm": done.warm}
        result["events"] = events.read_bytes()[seen:].decode("ascii")
        result["output_touched"] = output.read(output.size) != blank
        results.append(result)
        if result["error"] == -1:
            break
    return results


@cocotb.test()
async def run(dut: Any) -> None:
    """Reset, run the job, write the results."""
    job = json.loads(Path(os.environ["HWGEN_SIM_JOB"]).read_text())
    key = bytes.fromhex(os.environ.pop("HWGEN_SIM_KEY", ""))
    for name, value in job["settings"].items():
        getattr(dut, name).value = value
    for _ in range(10):
        await FallingEdge(dut.clk)
    dut.rst.value = 0
    began, start = time.perf_counter(), int(dut.now.value)
    frames = await bridge(_drive)(dut, job, key)
    seconds = time.perf_counter() - began
    for _ in range(1000):
        await FallingEdge(dut.clk)
    Path(job["result"]).write_text(json.dumps({
        "frames": frames, "seconds": seconds, "cycles": int(dut.now.value) - start,
        "violation": int(dut.violation.value), "bursts_open": int(dut.bursts_open.value),
        "beats_read": int(dut.beats_read.value), "beats_written": int(dut.beats_written.value)}))
