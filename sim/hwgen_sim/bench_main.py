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

from hwgen.driver import Accelerator, AcceleratorError, DriverError, FrameResult, Image, System
from hwgen.driver import register_map as reg
from hwgen_sim.bus import SimulatedBus

#: what the output buffer holds before a frame
UNTOUCHED = 0xA5
#: in the exchange folder; see cycle_monitor.sv
EVENTS = "counters.txt"


class TimedBus(SimulatedBus):
    """Remembers when a frame was started for the first time since ``first_start`` was None, and the last interrupt."""

    first_start: int | None = None
    last_interrupt = 0

    def write32(self, offset: int, value: int) -> None:
        """Write a register."""
        if self.first_start is None and offset % reg.WINDOW_BYTES == reg.CONTROL and value >> reg.CONTROL_START & 1:
            self.first_start = int(self.dut.now.value)
        super().write32(offset, value)

    def wait_irq(self, timeout: float) -> bool:
        """Wait for the interrupt."""
        high = super().wait_irq(timeout)
        self.last_interrupt = int(self.dut.now.value)
        return high


def _drive(dut: Any, job: dict[str, Any], key: bytes) -> dict[str, Any]:
    """The synchronous part: what a person's program would do."""
    bus = TimedBus(dut, Path(job["exchange"]), cycles_per_second=1e6)
    system = System(bus, timeout=job["timeout_cycles"] / 1e6)
    if key:
        system.set_key(key, boot_salts=[bytes.fromhex(salt) for salt in job["boot_salts"]])
    for engine in system.engines:
        engine.set_watchdog(job["watchdog"])
        engine.set_minimum_version(job["minimum_version"])
    system.load(Image.load(job["image"]), check_config=job["check_config"],
                frames=max((len(batch) for batch in job["batches"]), default=1))
    accelerator = system.engines[0]
    if job["fault"] is not None:
        buffer = {"image": 0, "input": 1, "output": 2, "scratch": 3}[job["fault"]["where"]]
        dut.error_addr.value = accelerator.buffers[buffer].address + job["fault"]["offset"]
        dut.error_enable.value = 1
    folder, frames = Path(job["folder"]), []
    events = Path(job["exchange"]) / EVENTS
    for frame in job["frames"]:
        seen = events.stat().st_size
        ended = _alone(accelerator, np.load(frame["input"]), folder, warm=frame["warm"])
        frames.append({**ended, "events": events.read_bytes()[seen:].decode("ascii")})
        if frames[-1]["error"] == -1:
            return {"frames": frames, "batches": [], "rounds": []}
    dut.error_enable.value = 0
    batches, rounds = [], []
    for paths in job["batches"]:
        bus.first_start = None
        ended = accelerator.run_batch([np.load(path) for path in paths])
        assert bus.first_start is not None
        batches.append({"cycles": bus.last_interrupt - bus.first_start,
                        "frames": [_saved(one, folder) for one in ended]})
    for paths in job["rounds"]:
        bus.first_start = None
        ended = system.run_many(np.load(path) for path in paths)
        assert bus.first_start is not None
        rounds.append({"cycles": bus.last_interrupt - bus.first_start,
                       "frames": [_saved(one, folder) for one in ended]})
    return {"frames": frames, "batches": batches, "rounds": rounds}


def _alone(accelerator: Accelerator, frame: np.ndarray, folder: Path, *, warm: bool) -> dict[str, Any]:
    """One frame on one engine, with a look at the output buffer."""
    output = accelerator.buffers[2]
    blank = bytes([UNTOUCHED]) * output.size
    output.write(blank)
    try:
        ended = _saved(accelerator.run(frame, warm=warm), folder)
    except AcceleratorError as error:
        ended = {**_saved(error, folder), "counters": accelerator.counters()}
    except DriverError as error:
        ended = {**_nothing(error), "error": -1, "counters": accelerator.counters()}
    return {**ended, "output_touched": output.read(output.size) != blank}


def _nothing(error: Exception) -> dict[str, Any]:
    return {"error": 0, "segment": 0, "message": str(error), "output": None, "dumps": {}, "counters": {}, "warm": False,
            "output_touched": False}


def _saved(ended: FrameResult | AcceleratorError, folder: Path) -> dict[str, Any]:
    """A frame as the result file has it, its tensors in files."""
    if isinstance(ended, AcceleratorError):
        return {**_nothing(ended), "error": ended.code, "segment": ended.segment}

    def save(tensor: np.ndarray) -> str:
        path = folder / f"tensor_{len(os.listdir(folder))}.npy"
        np.save(path, tensor)
        return str(path)

    return {"error": 0, "segment": 0, "message": "", "output": save(ended.output),
            "dumps": {name: save(tensor) for name, tensor in ended.dumps.items()}, "counters": ended.counters,
            "warm": ended.warm, "output_touched": True}


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
    ended = await bridge(_drive)(dut, job, key)
    seconds = time.perf_counter() - began
    for _ in range(1000):
        await FallingEdge(dut.clk)
    Path(job["result"]).write_text(json.dumps({
        **ended, "seconds": seconds, "cycles": int(dut.now.value) - start,
        "violation": int(dut.violation.value), "bursts_open": int(dut.bursts_open.value),
        "beats_read": int(dut.beats_read.value), "beats_written": int(dut.beats_written.value)}))
