"""The scrubber writes zeros into every word of every memory."""

from __future__ import annotations

import random
from typing import Any

import pytest
from amaranth.sim import Simulator

from hwgen.config.accelerator import AcceleratorConfig, WindowUnit
from rtl_templates.engine.window_unit import window_entries
from rtl_templates.shell.scrubber import Scrubber


@pytest.mark.parametrize("window", list(WindowUnit))
def test_every_word(window: WindowUnit) -> None:
    config = AcceleratorConfig(p_i=8, p_o=16, act_words=38, weight_lines=50, program_words=16, window=window)
    rng = random.Random(1)
    dut: Any = Scrubber(config=config)
    written: dict[str, set[int]] = {"line": set(), "word": set(), "program": set()}
    cycles = 0

    async def bench(ctx: Any) -> None:
        nonlocal cycles
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        while ctx.get(dut.busy):
            for name, seen in written.items():
                port = getattr(dut, name)
                ready = rng.random() < 0.7
                ctx.set(port.ready, ready)
                if ready and ctx.get(port.valid):
                    payload = port.payload
                    assert ctx.get(payload.data) == 0
                    seen.add(ctx.get(payload.line if name == "line" else payload.addr))
            cycles += ctx.get(dut.window)
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert written["line"] == set(range(config.weight_lines))
    assert written["program"] == set(range(config.program_words))
    assert written["word"] >= {bank * config.act_stride + n for bank in range(2) for n in range(config.act_words)}
    assert cycles == (0 if window is WindowUnit.NONE else window_entries(config))
