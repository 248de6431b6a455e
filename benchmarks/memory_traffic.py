"""cocotb module of simulation_speed.py: lets the bench run for as many cycles as the setting CYCLES says."""

from __future__ import annotations

import os
from typing import Any

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge


@cocotb.test()
async def run(dut: Any) -> None:
    """Reset, then wait; the memory must have served something."""
    for _ in range(10):
        await FallingEdge(dut.clk)
    dut.rst.value = 0
    dut.wait_until.value = int(dut.now.value) + int(os.environ["CYCLES"])
    await FallingEdge(dut.clk)
    await FallingEdge(dut.clk)
    await RisingEdge(dut.waited)
    assert int(dut.beats_read.value) > int(os.environ["CYCLES"])
