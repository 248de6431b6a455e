"""Retired descriptors count in program order, whichever unit is faster."""

from __future__ import annotations

import random
from collections import deque
from typing import Any

import pytest
from amaranth.sim import Simulator

from rtl_templates.engine.progress import OUTSTANDING, Progress


@pytest.mark.parametrize("units", [1, 2])
def test_order(units: int) -> None:
    rng = random.Random(units)
    dut: Any = Progress(units=units)
    total = 600
    order: list[int] = []
    running = [deque[int]() for _ in range(units)]
    done: set[int] = set()
    most = 0

    async def bench(ctx: Any) -> None:
        nonlocal most
        counted = settled = 0
        for cycle in range(20_000):
            # long times in which only one unit retires anything
            speed = [0.4 if units == 1 or cycle // 200 % 2 == unit else 0.02 for unit in range(units)]
            unit = rng.randrange(units)
            offered = len(order) < total and rng.random() < 0.5
            ctx.set(dut.handed.payload, unit)
            ctx.set(dut.handed.valid, offered)
            retired = 0
            for number, queue in enumerate(running):
                if queue and rng.random() < speed[number]:
                    done.add(queue.popleft())
                    retired |= 1 << number
            ctx.set(dut.retired, retired)
            if units > 1:
                assert ctx.get(dut.idle) == (ctx.get(dut.progress) == len(order))
            if offered and ctx.get(dut.handed.ready):
                running[unit].append(len(order))
                order.append(unit)
            counted = ctx.get(dut.progress)
            assert all(number in done for number in range(counted))
            most = max(most, len(order) - counted)
            before = settled
            while settled in done:
                settled += 1
            if settled == before and settled == total == counted:
                assert ctx.get(dut.idle)
                return
            await ctx.tick()
        pytest.fail(f"{counted} of {total} counted")

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert most <= OUTSTANDING + 1 or units == 1
    assert most > 20 or units == 1
