"""What the driver needs of the machine it runs on."""

from __future__ import annotations

from typing import Protocol


class Buffer(Protocol):
    """Contiguous memory that the accelerator can reach."""

    @property
    def address(self) -> int:
        """Physical address, as the accelerator's AXI masters use it."""
        ...

    @property
    def size(self) -> int:
        """Bytes."""
        ...

    def write(self, data: bytes, offset: int = 0) -> None:
        """Copy ``data`` into the buffer; the accelerator sees it when this returns."""
        ...

    def read(self, size: int, offset: int = 0) -> bytes:
        """What the accelerator last wrote."""
        ...

    def free(self) -> None:
        """Give the memory back; the buffer must not be used afterwards."""
        ...


class Bus(Protocol):
    """Registers, memory and the interrupt of one accelerator."""

    def read32(self, offset: int) -> int:
        """Read a register at a byte offset."""
        ...

    def write32(self, offset: int, value: int) -> None:
        """Write a register at a byte offset."""
        ...

    def alloc(self, size: int) -> Buffer:
        """Contiguous memory at an address that is a multiple of 4096."""
        ...

    def wait_irq(self, timeout: float) -> bool:
        """Wait until the interrupt is high; False after ``timeout`` seconds."""
        ...
