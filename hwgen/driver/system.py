"""All engines of a design: the same image on each of them, frames given to whichever is free."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import numpy as np

from . import register_map as reg
from .accelerator import Accelerator, FrameResult
from .bus import Buffer, Bus, Window
from .errors import AcceleratorError, DriverError
from .image import Image


class System:
    """Drives a design of one or more equal engines over ``bus``.

    Args:
        bus: registers, memory and interrupt of the whole design.
        timeout: seconds to wait for a frame.

    Raises:
        DriverError: see ``Accelerator``.
    """

    def __init__(self, bus: Bus, *, timeout: float = 10.0) -> None:
        self.bus, self.timeout = bus, timeout
        first = Accelerator(bus, timeout=timeout)
        others = range(1, bus.read32(reg.ENGINES) & 0xFF)
        #: each with everything of its own: key, watchdog, residency, counters, errors
        self.engines = (first, *(Accelerator(Window(bus, number), timeout=timeout) for number in others))
        self._payload: Buffer | None = None

    def set_key(self, key: bytes, *, boot_salts: Sequence[bytes] | None = None) -> None:
        """``Accelerator.set_key`` on every engine; ``boot_salts``: one for each, all different."""
        for number, engine in enumerate(self.engines):
            engine.set_key(key, boot_salt=None if boot_salts is None else boot_salts[number])

    def load(self, image: Image, *, check_config: bool = True, frames: int = 1) -> None:
        """Load an image into every engine; its payload lies in memory once. See ``Accelerator.load``."""
        self.unload()
        self._payload = self.bus.alloc(max(16, len(image.payload)))
        self._payload.write(image.payload)
        for engine in self.engines:
            engine.load(image, check_config=check_config, payload=self._payload, frames=frames)

    def unload(self) -> None:
        """Give the image's memory back."""
        for engine in self.engines:
            engine.unload()
        if self._payload is not None:
            self._payload.free()
            self._payload = None

    def run_many(self, frames: Iterable[np.ndarray], *, warm: bool = True) -> list[FrameResult | AcceleratorError]:
        """Run frames on all engines at once, each on the first engine that is free.

        The next frame is taken from ``frames`` and packed while the engines work. An engine whose frame ended with an
        error goes on with the next one; the others notice nothing.

        Args:
            frames: as for ``Accelerator.run``.
            warm: as for ``Accelerator.run``.

        Returns:
            per frame, in the order of ``frames``, its result or the error with which it ended.

        Raises:
            DriverError: no image is loaded, a frame has the wrong shape, or the hardware does not answer; frames that
                were running are aborted.
        """
        packed = map(self.engines[0].pack, frames)
        results: dict[int, FrameResult | AcceleratorError] = {}
        idle, running = list(self.engines), dict[Accelerator, int]()
        started = 0
        try:
            ahead = next(packed, None)
            while ahead is not None or running:
                while ahead is not None and idle:
                    engine = idle.pop(0)
                    running[engine] = started
                    engine.begin(ahead, warm=warm)
                    started += 1
                    ahead = next(packed, None)
                for engine, error in self.wait_any(running):
                    results[running.pop(engine)] = error or engine.result()
                    idle.append(engine)
        except BaseException:
            for engine in running:
                engine.reset()
            raise
        return [results[number] for number in range(started)]

    def wait_any(self, running: Collection[Accelerator]) -> list[tuple[Accelerator, AcceleratorError | None]]:
        """Wait until at least one of ``running`` has ended its frame, and clear the interrupts of those that have.

        Returns:
            them, each with its error.

        Raises:
            DriverError: none ended in time.
        """
        ended: list[tuple[Accelerator, AcceleratorError | None]] = []
        if not self.bus.wait_irq(self.timeout):
            raise DriverError(f"no interrupt within {self.timeout} s; STATUS is "
                              + ", ".join(f"{engine.status:#x}" for engine in running))
        for engine in running:
            try:
                if engine.end():
                    ended.append((engine, None))
            except AcceleratorError as error:
                ended.append((engine, error))
        return ended
