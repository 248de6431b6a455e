"""What the driver needs of the machine it runs on."""

from __future__ import annotations

from typing import Protocol

from .register_map import WINDOW_BYTES


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
    """Registers, memory and the interrupt of a design; register offsets count from the first engine's."""

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


class Window:
    """The bus as seen by engine ``number``: its own registers, the memory and the interrupt of all."""

    def __init__(self, bus: Bus, number: int) -> None:
        self._bus, self._base = bus, number * WINDOW_BYTES

    def read32(self, offset: int) -> int:
        """Read a register of this engine."""
        return self._bus.read32(self._base + offset)

    def write32(self, offset: int, value: int) -> None:
        """Write a register of this engine."""
        self._bus.write32(self._base + offset, value)

    def alloc(self, size: int) -> Buffer:
        """As ``Bus.alloc``."""
        return self._bus.alloc(size)

    def wait_irq(self, timeout: float) -> bool:
        """As ``Bus.wait_irq``: any engine's."""
        return self._bus.wait_irq(timeout)
