"""Drives a component cycle by cycle in Amaranth's simulator, with plain models of what it places by name."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from amaranth.hdl import Elaboratable, Module, Value
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator


def run_cycles(dut: Any, inputs: Sequence[Mapping[str, int]], outputs: Sequence[str]) -> list[dict[str, int]]:
    """Values of ``outputs`` in each cycle, in which the ports hold ``inputs``; ports not named keep their value."""
    seen: list[dict[str, int]] = []

    async def bench(ctx: Any) -> None:
        for values in inputs:
            for name, value in values.items():
                ctx.set(Value.cast(getattr(dut, name)), value)
            seen.append({name: ctx.get(Value.cast(getattr(dut, name))) for name in outputs})
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return seen


class PlainRam(wiring.Component):
    """What ``rtl_templates.memory.ram.Ram`` must be: reads give the old contents one cycle later; random at first."""

    def __init__(self, *, width: int, depth: int, granules: int = 1, style: object = None) -> None:
        del style
        assert granules == 1
        self.width, self.depth = width, depth
        address = max(1, (depth - 1).bit_length())
        super().__init__({"read_addr": In(address), "read_data": Out(width), "write_addr": In(address),
                          "write_en": In(1), "write_data": In(width)})

    def elaborate(self: Any, platform: object) -> Module:
        del platform
        m, rng = Module(), random.Random(self.depth)
        self.rows = memory.Memory(
            shape=self.width, depth=self.depth, init=[rng.getrandbits(self.width) for _ in range(self.depth)])
        m.submodules.rows = rows = self.rows
        read: Any = rows.read_port()
        write: Any = rows.write_port()
        m.d.comb += [read.addr.eq(self.read_addr), self.read_data.eq(read.data), write.addr.eq(self.write_addr),
                     write.data.eq(self.write_data), write.en.eq(self.write_en)]
        return m


class PlacedHere(Elaboratable):
    """``Instance(name, i_..., o_...)`` as the component itself, which a simulator of one module needs."""

    def __init__(self, component: wiring.Component, **connections: Any) -> None:
        self.component, self.connections = component, connections

    def elaborate(self, platform: object) -> Module:
        del platform
        m = Module()
        m.submodules.component = self.component
        for name, value in self.connections.items():
            if name in ("i_clk", "i_rst"):
                continue
            port = getattr(self.component, name[2:])
            m.d.comb += port.eq(value) if name.startswith("i_") else value.eq(port)
        return m


def packed(values: Iterable[Any], bits: int) -> int:
    """Lanes of one word, lane 0 lowest."""
    return sum((int(v) & (1 << bits) - 1) << bits * n for n, v in enumerate(values))


def lanes(word: int, bits: int, count: int) -> list[int]:
    """Signed lanes of a word."""
    parts = [(word >> bits * n) & (1 << bits) - 1 for n in range(count)]
    return [p - (1 << bits) if p >> bits - 1 else p for p in parts]
