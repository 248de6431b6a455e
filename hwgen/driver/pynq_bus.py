"""The bus of a Zynq board under PYNQ. Needs the ``pynq`` package, which is on the board."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import numpy as np

from .errors import DriverError
from .register_map import ENGINES, IRQ_STATUS, WINDOW_BYTES


class PynqBuffer:
    """Contiguous memory of ``pynq.allocate``, with the cache kept coherent by hand."""

    def __init__(self, array: Any) -> None:
        self._array = array

    @property
    def address(self) -> int:
        """Physical address."""
        return self._array.physical_address

    @property
    def size(self) -> int:
        """Bytes."""
        return self._array.nbytes

    def write(self, data: bytes, offset: int = 0) -> None:
        """Copy and write the cache back, so that the accelerator sees the data."""
        self._array[offset:offset + len(data)] = np.frombuffer(data, np.uint8)
        self._array.flush()

    def read(self, size: int, offset: int = 0) -> bytes:
        """Drop stale cache lines and copy."""
        self._array.invalidate()
        return self._array[offset:offset + size].tobytes()

    def free(self) -> None:
        """Give the memory back."""
        self._array.freebuffer()


class PynqBus:
    """A design in a loaded overlay.

    Args:
        ip: the overlay's IP object (``overlay.hwgen_accelerator_0``); its interrupt pin is named ``irq``.
        address_limit: first physical address that the accelerator's ports cannot reach.

    Example:
        >>> overlay = pynq.Overlay("hwgen.bit")                                         # doctest: +SKIP
        >>> accelerator = Accelerator(PynqBus(overlay.hwgen_accelerator_0))             # doctest: +SKIP
    """

    def __init__(self, ip: Any, *, address_limit: int = 1 << 40) -> None:
        import pynq  # pyright: ignore[reportMissingImports]  # only on the board  # noqa: PLC0415

        self._allocate = pynq.allocate
        self._ip, self._limit = ip, address_limit
        self._status = [k * WINDOW_BYTES + IRQ_STATUS for k in range(self.read32(ENGINES) & 0xFF)]

    def read32(self, offset: int) -> int:
        """Read a register."""
        return self._ip.mmio.read(offset)

    def write32(self, offset: int, value: int) -> None:
        """Write a register."""
        self._ip.mmio.write(offset, value)

    def alloc(self, size: int) -> PynqBuffer:
        """Contiguous memory; DriverError when there is none, or where the accelerator cannot reach it."""
        try:
            array = self._allocate(shape=(-(-size // 4096) * 4096,), dtype=np.uint8)
        except (MemoryError, RuntimeError) as error:
            raise DriverError(f"no {size} bytes of contiguous memory: raise the kernel's cma= parameter") from error
        if array.physical_address + array.nbytes > self._limit or array.physical_address % 4096:
            raise DriverError(f"memory at {array.physical_address:#x} is out of the accelerator's reach or unaligned")
        return PynqBuffer(array)

    def wait_irq(self, timeout: float) -> bool:
        """Wait for the interrupt, with PYNQ's interrupt object where there is one, else by reading status registers.

        There is none where the overlay has no AXI interrupt controller, and none can be waited for while the caller's
        own event loop runs (Jupyter). The registers decide in any case: the controller may remember an old interrupt.
        """
        end = time.monotonic() + timeout
        interrupt = getattr(self._ip, "irq", None)
        loop = None if interrupt is None else _idle_loop()
        while not any(map(self.read32, self._status)):
            left = end - time.monotonic()
            if left <= 0:
                return False
            if interrupt is not None and loop is not None:
                try:
                    loop.run_until_complete(asyncio.wait_for(interrupt.wait(), left))
                # two classes before Python 3.11, which the boards' images have not
                except (TimeoutError, asyncio.TimeoutError):  # noqa: UP041
                    continue
        return True


def _idle_loop() -> asyncio.AbstractEventLoop | None:
    """This thread's event loop, to which PYNQ's interrupts are bound; None while it runs."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        return None
    try:
        return asyncio.get_event_loop()
    except RuntimeError:  # newer Pythons make none by themselves
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        return loop
