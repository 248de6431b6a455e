"""cocotb module behind ``hwgen_sim.component``: the job and the result are JSON files.

Inputs change at falling clock edges, and transfers are decided when everything has settled after that.
"""

import json
import os
import random
from pathlib import Path

import cocotb
from cocotb.triggers import FallingEdge, ReadOnly


class _Source:
    def __init__(self, dut, name: str, payloads: list[int], gap: float) -> None:
        self.valid, self.ready = getattr(dut, f"{name}__valid"), getattr(dut, f"{name}__ready")
        self.payload = getattr(dut, f"{name}__payload")
        self.items, self.gap, self.moments = iter(payloads), gap, []
        self.left, self.offered = len(payloads), False

    @property
    def done(self) -> bool:
        return self.left == 0

    def drive(self, rng: random.Random) -> None:
        if not self.offered and self.left and rng.random() >= self.gap:
            self.payload.value = next(self.items)
            self.valid.value = 1
            self.offered = True

    def settle(self, now: int) -> None:
        self.fired = self.offered and int(self.ready.value) == 1
        if self.fired:
            self.moments.append(now)
            self.left -= 1
            self.offered = False

    def release(self) -> None:
        if self.fired and not self.offered:
            self.valid.value = 0


class _Sink:
    def __init__(self, dut, name: str, count: int, gap: float) -> None:
        self.valid, self.ready = getattr(dut, f"{name}__valid"), getattr(dut, f"{name}__ready")
        self.payload = getattr(dut, f"{name}__payload")
        self.count, self.gap, self.moments, self.received = count, gap, [], []
        self.open = False

    @property
    def done(self) -> bool:
        return len(self.received) == self.count

    def drive(self, rng: random.Random) -> None:
        self.open = not self.done and rng.random() >= self.gap
        self.ready.value = int(self.open)

    def settle(self, now: int) -> None:
        if self.open and int(self.valid.value) == 1:
            self.moments.append(now)
            self.received.append(int(self.payload.value))

    def release(self) -> None:
        if self.done:
            self.ready.value = 0


async def _phase(dut, phase: dict, rng: random.Random) -> dict:
    for name, value in phase["ports"].items():
        getattr(dut, name).value = value
    for _ in range(phase["wait"]):
        await FallingEdge(dut.clk)
    gaps = phase["gaps"]
    sources = {n: _Source(dut, n, p, gaps.get(n, 0.0)) for n, p in phase["send"].items()}
    sinks = {n: _Sink(dut, n, c, gaps.get(n, 0.0)) for n, c in phase["receive"].items()}
    streams = {**sources, **sinks}
    now = 0
    while not all(s.done for s in streams.values()):
        for s in streams.values():
            s.drive(rng)
        await ReadOnly()
        for s in streams.values():
            s.settle(now)
        await FallingEdge(dut.clk)
        for s in streams.values():
            s.release()
        now += 1
        if now > phase["limit"]:
            left = {n: s.left for n, s in sources.items()} | {n: s.count - len(s.received) for n, s in sinks.items()}
            raise AssertionError(f"phase did not end within {now} cycles; left: {left}")
    await ReadOnly()
    probed = {name: int(getattr(dut, name).value) for name in phase["probe"]}
    await FallingEdge(dut.clk)
    received = {n: s.received for n, s in sinks.items()}
    return {"received": received, "moments": {n: s.moments for n, s in streams.items()}, "probed": probed}


@cocotb.test()
async def run(dut) -> None:
    """Reset, then all phases."""
    job = json.loads(Path(os.environ["HWGEN_COMPONENT_JOB"]).read_text())
    rng = random.Random(job["seed"])
    dut.rst.value = 1
    for _ in range(4):
        await FallingEdge(dut.clk)
    dut.rst.value = 0
    await FallingEdge(dut.clk)
    results = [await _phase(dut, phase, rng) for phase in job["phases"]]
    Path(job["result"]).write_text(json.dumps(results))
