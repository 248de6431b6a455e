"""Activation memory against a dictionary: who comes first, what comes back, and what goes together."""

from __future__ import annotations

import random
from typing import Any

import pytest
from amaranth.sim import Simulator

import rtl_templates.engine.activation_memory as template
from hwgen.config.accelerator import AcceleratorConfig, WindowUnit
from tests.rtl_templates.engine.cycles import PlainRam

CONFIG = AcceleratorConfig(p_i=8, p_o=16, act_words=22, window=WindowUnit.POOL)
#: cycles from a request to its data
READ = 3


def address(rng: random.Random) -> int:
    """A word of one of the banks."""
    return rng.randrange(2) * CONFIG.act_stride + rng.randrange(CONFIG.act_words)


def place(addr: int) -> int:
    """The sub-bank."""
    return addr // CONFIG.act_stride * 2 + addr % 2


def pair(rng: random.Random, rate: float) -> list[int]:
    """Up to two words of different sub-banks."""
    if rng.random() >= rate:
        return []
    first = address(rng)
    second = address(rng)
    return [first, second] if place(first) != place(second) and rng.random() < 0.5 else [first]


@pytest.mark.parametrize("rate", [0.2, 0.7])
def test_ports(rate: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template, "Ram", PlainRam)
    rng = random.Random(int(10 * rate))
    dut: Any = template.ActivationMemory(config=CONFIG)
    memory: dict[int, int] = {}
    seen = {name: 0 for name in ("window_read", "window_write", "dma_read", "dma_write", "beside results")}
    due: dict[int, list[tuple[str, int]]] = {}

    async def bench(ctx: Any) -> None:
        for addr in [b * CONFIG.act_stride + o for b in range(2) for o in range(CONFIG.act_words)]:
            memory[addr] = rng.getrandbits(64)
            ctx.set(dut.dma_write.payload, {"addr": addr, "data": memory[addr]})
            ctx.set(dut.dma_write.valid, 1)
            await ctx.tick()
        ctx.set(dut.dma_write.valid, 0)
        await ctx.tick().repeat(3)
        waiting: dict[str, int] = {}
        for now in range(3000):
            written: dict[int, int] = {}
            reads = pair(rng, rate)
            residuals = [a for a in pair(rng, rate) if place(a) not in {place(r) for r in reads}]
            results = pair(rng, rate)
            for port, items in ((dut.source, reads), (dut.residual, residuals)):
                ctx.set(port, {"valid": (1 << len(items)) - 1, **{f"addr{n}": a for n, a in enumerate(items)}})
            for n, name in enumerate(("word", "residual")):
                for k, a in enumerate((reads, residuals)[n]):
                    due.setdefault(now + READ, []).append((f"{name}{k}", memory[a]))
            ctx.set(dut.write_valid, (1 << len(results)) - 1)
            for n, a in enumerate(results):
                written[a] = rng.getrandbits(64)
                ctx.set(getattr(dut, f"write_addr{n}"), a)
                ctx.set(getattr(dut, f"write_data{n}"), written[a])
            for name in ("window_read", "window_write", "dma_read", "dma_write"):
                if name not in waiting and rng.random() < 0.6:
                    waiting[name] = address(rng)
                ctx.set(getattr(dut, name).valid, name in waiting)
                if name in waiting:
                    values = {"addr": waiting[name]} | ({"data": rng.getrandbits(64)} if "write" in name else {})
                    ctx.set(getattr(dut, name).payload, values)
            # what must be granted
            taken = {place(a) for a in reads + residuals}
            free = {"window_read": "window_read" in waiting and place(waiting["window_read"]) not in taken}
            if "window_read" in waiting:
                taken.add(place(waiting["window_read"]))
            free["dma_read"] = "dma_read" in waiting and place(waiting["dma_read"]) not in taken
            taken = {place(a) for a in results}
            free["window_write"] = "window_write" in waiting and place(waiting["window_write"]) not in taken
            if "window_write" in waiting:
                taken.add(place(waiting["window_write"]))
            free["dma_write"] = "dma_write" in waiting and place(waiting["dma_write"]) not in taken
            for name, granted in free.items():
                if name not in waiting:
                    continue
                assert bool(ctx.get(getattr(dut, name).ready)) == granted, (now, name)
                if not granted:
                    continue
                seen[name] += 1
                addr = waiting.pop(name)
                if "write" in name:
                    seen["beside results"] += bool(results)
                    written[addr] = ctx.get(getattr(dut, name).payload.data)
                else:
                    due.setdefault(now + READ, []).append((name, memory[addr]))
            expected = dict(due.pop(now, []))
            assert bool(ctx.get(dut.dma_data.valid)) == ("dma_read" in expected)
            for name, value in expected.items():
                port = {"window_read": "window_data", "dma_read": "dma_data"}.get(name, name)
                found = ctx.get(dut.dma_data.data if port == "dma_data" else getattr(dut, port))
                assert found == value, (now, name)
            memory.update(written)
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert all(count > 50 for count in seen.values()), seen
