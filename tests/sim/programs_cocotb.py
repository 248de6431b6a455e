"""cocotb side of test_programs.py: runs the frames of a schedule on one accelerator, reset only before the first."""

import json
import os
from pathlib import Path

import cocotb
import numpy as np
from cocotb.task import bridge
from cocotb.triggers import FallingEdge

from hwgen.driver import Accelerator, Image
from hwgen_sim.bus import SimulatedBus

FOLDER = Path(os.environ["PROGRAMS_FILES"])
KEY = bytes.fromhex(os.environ["PROGRAMS_KEY"])


def drive(dut):
    """Load an image whenever the schedule names another; keep every output, its counters and whether it was warm."""
    accelerator = Accelerator(SimulatedBus(dut, FOLDER, cycles_per_second=1e6), timeout=2.0)
    accelerator.set_key(KEY)
    loaded, results = "", []
    for number, step in enumerate(json.loads((FOLDER / "schedule.json").read_text())):
        if step["network"] != loaded:
            loaded = step["network"]
            accelerator.load(Image.load(FOLDER / f"{loaded}.img"))
        dut.stall.value = step["stall"]
        output = accelerator.buffers[2]
        output.write(b"\xa5" * output.size)
        done = accelerator.run(np.load(FOLDER / f"{loaded}.npy")[step["frame"]], warm=step["warm"])
        np.save(FOLDER / f"output_{number}.npy", done.output)
        results.append({"warm": done.warm, "read_beats": done.counters["read_beats"]})
    (FOLDER / "results.json").write_text(json.dumps(results))


@cocotb.test()
async def run(dut):
    """One reset, then every frame."""
    for _ in range(10):
        await FallingEdge(dut.clk)
    dut.rst.value = 0
    await bridge(lambda: drive(dut))()
    for _ in range(300):
        await FallingEdge(dut.clk)
    assert int(dut.violation.value) == 0 and int(dut.bursts_open.value) == 0
