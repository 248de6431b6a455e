"""cocotb module: runs compute descriptors on a bare ``TensorEngine``, for component tests.

The job is a JSON file named by the setting HWGEN_ENGINE_JOB: ``ring_lines``, ``seed``, ``result`` (path) and ``parts``;
each part has ``weights`` {line: hex}, ``activations`` {addr: hex}, ``descriptors`` [hex], ``reads`` [addr] and
``load_gap``, the chance per cycle that the next line is not yet loaded. The result has ``words`` {addr: hex} and
``counters``.
"""

import json
import os
import random
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ReadOnly, RisingEdge

from rtl_templates.engine.counters import COUNTERS


async def _send(dut, prefix: str, items, rng: random.Random) -> None:
    """Push dicts of field values through a stream; fields are packed by width into the payload."""
    valid, ready = getattr(dut, prefix + "__valid"), getattr(dut, prefix + "__ready")
    payload = getattr(dut, prefix + "__payload")
    for value in items:
        while rng.random() < 0.2:
            valid.value = 0
            await RisingEdge(dut.clk)
        valid.value = 1
        payload.value = value
        while True:
            await ReadOnly()
            taken = int(ready.value)
            await RisingEdge(dut.clk)
            if taken:
                break
    valid.value = 0


@cocotb.test()
async def run(dut) -> None:
    """Load, run, read back."""
    job = json.loads(Path(os.environ["HWGEN_ENGINE_JOB"]).read_text())
    rng = random.Random(job.get("seed", 0))
    Clock(dut.clk, 2, unit="ns").start()
    for name in ("descriptors", "weight_write", "act_write", "act_read"):
        getattr(dut, name + "__valid").value = 0
    dut.rst.value = 1
    dut.clear.value = 0
    dut.scrub.value = 0
    dut.ring_lines.value = job["ring_lines"]
    dut.weight_loaded.value = 0
    dut.act_loaded.value = 0
    dut.stored.value = 0
    for _ in range(5):
        await RisingEdge(dut.clk)
    dut.rst.value = 0
    dut.clear.value = 1
    await RisingEdge(dut.clk)
    dut.clear.value = 0
    results = {"words": {}}
    for part in job["parts"]:
        await _send(dut, "act_write", [int(a) | int.from_bytes(bytes.fromhex(h), "little") << 20
                                       for a, h in part["activations"].items()], rng)
        loader = cocotb.start_soon(_send(dut, "weight_write", [
            int(a) | int.from_bytes(bytes.fromhex(h), "little") << 20 for a, h in part["weights"].items()], rng))
        if not part.get("race"):
            await loader
        dut.weight_loaded.value = 0
        sender = cocotb.start_soon(_send(dut, "descriptors", [int.from_bytes(bytes.fromhex(d), "little")
                                                              for d in part["descriptors"]], rng))
        await loader
        for loaded in range(0, len(part["weights"]) + 1):
            dut.weight_loaded.value = loaded
            await RisingEdge(dut.clk)
            while rng.random() < part.get("load_gap", 0.0):
                await RisingEdge(dut.clk)
        cycles = 0
        while True:
            await ReadOnly()
            done = int(dut.finished.value)
            await RisingEdge(dut.clk)
            cycles += 1
            if done:
                break
            assert cycles < 200000, "the engine does not finish"
        await sender
        results["counters"] = {name: int(dut.counters.value) >> (32 * i) & 0xFFFFFFFF
                               for i, name in enumerate(COUNTERS)}
        for addr in part["reads"]:
            reader = cocotb.start_soon(_send(dut, "act_read", [addr], random.Random(1)))
            while True:
                await ReadOnly()
                value = int(dut.act_data.value)
                await RisingEdge(dut.clk)
                if value & 1:
                    break
            await reader
            results["words"][str(addr)] = (value >> 1).to_bytes((len(dut.act_data) - 1) // 8, "little").hex()
        dut.clear.value = 1
        await RisingEdge(dut.clk)
        dut.clear.value = 0
    Path(job["result"]).write_text(json.dumps(results))
