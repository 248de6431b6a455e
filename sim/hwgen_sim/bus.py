"""The driver's bus on the simulated system: registers through the bench's AXI4-Lite master, memory by the backdoor.

The driver is plain synchronous code. It runs in a thread of its own (cocotb's ``bridge``) and enters the simulation by
``resume`` for every access; between accesses no simulated time passes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cocotb.task import resume
from cocotb.triggers import FallingEdge, First, RisingEdge

#: byte address of the simulated memory, as on a Zynq UltraScale+ with memory above 4 GiB
MEMORY_BASE = 0x8_0000_0000
_PAGE = 4096


class SimulatedBuffer:
    """Memory of the simulated system; every transfer is one file."""

    def __init__(self, bus: SimulatedBus, address: int, size: int) -> None:
        self._bus, self.address, self.size = bus, address, size

    def write(self, data: bytes, offset: int = 0) -> None:
        """Copy into memory, in no simulated time but a cycle."""
        self._bus.load(self.address + offset, data)

    def read(self, size: int, offset: int = 0) -> bytes:
        """Copy out of memory."""
        return self._bus.dump(self.address + offset, size)

    def free(self) -> None:
        """Memory is not reused in a simulation."""


class SimulatedBus:
    """Implements ``hwgen.driver.Bus``.

    Args:
        dut: the bench.
        exchange: folder of the backdoor's files, the same as the simulator's ``+exchange``.
        cycles_per_second: what the driver's timeouts in seconds mean in cycles.
    """

    def __init__(self, dut: Any, exchange: Path, *, cycles_per_second: float) -> None:
        self.dut, self.exchange, self.cycles_per_second = dut, exchange, cycles_per_second
        self._next = MEMORY_BASE + 16 * _PAGE
        self._files = 0

    @resume
    async def read32(self, offset: int) -> int:
        """Read a register."""
        await self._access(offset, 0, write=False)
        return int(self.dut.reg_rdata.value)

    @resume
    async def write32(self, offset: int, value: int) -> None:
        """Write a register."""
        await self._access(offset, value, write=True)

    def alloc(self, size: int) -> SimulatedBuffer:
        """The next free pages, with a page between."""
        buffer = SimulatedBuffer(self, self._next, size)
        self._next += (-(-size // _PAGE) + 1) * _PAGE
        return buffer

    @resume
    async def wait_irq(self, timeout: float) -> bool:
        """Wait for the interrupt, or for as many cycles as ``timeout`` seconds have."""
        dut = self.dut
        await FallingEdge(dut.clk)
        if int(dut.irq.value):
            return True
        dut.wait_until.value = int(dut.now.value) + max(2, int(timeout * self.cycles_per_second))
        await FallingEdge(dut.clk)
        await FallingEdge(dut.clk)
        await First(RisingEdge(dut.irq), RisingEdge(dut.waited))
        await FallingEdge(dut.clk)
        return bool(int(dut.irq.value))

    @resume
    async def wait_cycles(self, cycles: int) -> None:
        """Let simulated time pass."""
        dut = self.dut
        await FallingEdge(dut.clk)
        dut.wait_until.value = int(dut.now.value) + cycles
        await FallingEdge(dut.clk)
        await FallingEdge(dut.clk)
        if not int(dut.waited.value):
            await RisingEdge(dut.waited)

    @resume
    async def load(self, address: int, data: bytes) -> None:
        """Write a file's worth of memory."""
        self._files += 1
        path = self.exchange / f"load_{self._files}.bin"
        path.write_bytes(data + bytes(-len(data) % 16))
        await self._move(self.dut.load_toggle, address, len(data))
        path.unlink()

    @resume
    async def dump(self, address: int, size: int) -> bytes:
        """Read a file's worth of memory."""
        self._files += 1
        path = self.exchange / f"dump_{self._files}.bin"
        await self._move(self.dut.dump_toggle, address, size)
        data = path.read_bytes()[:size]
        path.unlink()
        return data

    async def _move(self, toggle: Any, address: int, size: int) -> None:
        dut = self.dut
        await FallingEdge(dut.clk)
        dut.backdoor_file.value, dut.backdoor_addr.value, dut.backdoor_bytes.value = self._files, address, size
        toggle.value = 1 - int(toggle.value)
        await FallingEdge(dut.clk)
        await FallingEdge(dut.clk)

    async def _access(self, offset: int, value: int, *, write: bool) -> None:
        dut = self.dut
        await FallingEdge(dut.clk)
        dut.reg_write.value, dut.reg_addr.value, dut.reg_wdata.value = int(write), offset, value
        dut.reg_toggle.value = 1 - int(dut.reg_done.value)
        await dut.reg_done.value_change
        await FallingEdge(dut.clk)
