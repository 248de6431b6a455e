"""One accelerator: set a key, load an image, run frames."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from . import register_map as reg
from .bus import Buffer, Bus
from .errors import AcceleratorError, DriverError
from .image import Image
from .tensors import dequantise, pack_input, quantise, unpack_output

#: frames of one start at most, on a streaming pipeline
MAX_FRAMES = 4096


@dataclass(frozen=True)
class FrameResult:
    """What one frame left.

    Args:
        output: the tensor, int32 [C, H, W] for a raw output, else int8.
        real: the same in real numbers, in the author's shape.
        dumps: tensors of the inner layers, of a debug image.
        counters: of the hardware, see ``register_map.COUNTERS``.
        warm: the frame used what the frame before left in the buffers.
    """

    output: np.ndarray
    real: np.ndarray
    dumps: dict[str, np.ndarray]
    counters: dict[str, int]
    warm: bool


class Accelerator:
    """Drives one accelerator over ``bus``.

    Args:
        bus: registers, memory and interrupt.
        timeout: seconds to wait for a frame.

    Raises:
        DriverError: there is no accelerator behind the bus, or of another register map.
    """

    def __init__(self, bus: Bus, *, timeout: float = 10.0) -> None:
        self.bus, self.timeout = bus, timeout
        if (found := bus.read32(reg.ID)) != reg.IDENTIFICATION:
            raise DriverError(f"no hwgen accelerator here: ID reads {found:#010x}, not {reg.IDENTIFICATION:#010x}")
        version = bus.read32(reg.VERSION)
        if version & 0xFF != reg.REGISTER_VERSION:
            raise DriverError(f"register map version {version & 0xFF}, this driver knows {reg.REGISTER_VERSION}")
        self.isa_version = version >> 8 & 0xFF
        self.fingerprint = b"".join(bus.read32(reg.FINGERPRINT_0 + 4 * k).to_bytes(4, "little") for k in range(4))
        self.image: Image | None = None
        #: image, input, output and, if the image needs one, scratch, while an image is loaded
        self.buffers: list[Buffer] = []
        self._own_payload = self._warm = False
        self._most_frames = 1
        bus.write32(reg.IRQ_STATUS, 3)
        bus.write32(reg.IRQ_ENABLE, 3)

    @property
    def key_words(self) -> int:
        """32-bit words of the hardware's key."""
        return 8 if self.bus.read32(reg.CONFIG0) >> 21 & 1 else 4

    @property
    def status(self) -> int:
        """STATUS register."""
        return self.bus.read32(reg.STATUS)

    @property
    def protected(self) -> bool:
        """The hardware encrypts and authenticates feature maps in the scratch buffer."""
        return bool(self.bus.read32(reg.CONFIG0) >> reg.CONFIG0_PROTECTED & 1)

    def set_key(self, key: bytes, *, boot_salt: bytes | None = None) -> None:
        """Write the master key; it cannot be read back.

        Args:
            boot_salt: 16 bytes that no start of this hardware has seen before, for hardware that protects feature maps;
                None: from the operating system's random source.

        Raises:
            DriverError: wrong length, or the hardware does not take keys (busy or locked).
        """
        if len(key) != 4 * self.key_words:
            raise DriverError(f"the hardware's key has {4 * self.key_words} bytes, not {len(key)}")
        for word in range(self.key_words):
            self.bus.write32(reg.KEY_0 + 4 * word, int.from_bytes(key[4 * word:4 * word + 4], "little"))
        if self.protected:
            salt = os.urandom(16) if boot_salt is None else boot_salt
            if len(salt) != 16:
                raise DriverError(f"the boot salt has 16 bytes, not {len(salt)}")
            for word in range(4):
                self.bus.write32(reg.BOOT_SALT_0 + 4 * word, int.from_bytes(salt[4 * word:4 * word + 4], "little"))
        self.bus.write32(reg.KEY_CONTROL, 1)
        if not self.status >> reg.STATUS_KEY_LOADED & 1:
            raise DriverError("the hardware did not take the key: it is busy, or its key is locked")

    def lock_key(self) -> None:
        """From now on no key can be written until the hardware's reset."""
        self.bus.write32(reg.KEY_CONTROL, 2)

    def zeroise(self) -> None:
        """Erase the key and everything derived from it or loaded."""
        self.bus.write32(reg.CONTROL, 1 << reg.CONTROL_ZEROISE)
        self._wait_idle()

    def reset(self) -> None:
        """Abort a running frame and erase the buffers; open transfers on the memory bus are finished first."""
        self.bus.write32(reg.CONTROL, 1 << reg.CONTROL_SOFT_RESET)
        self._wait_idle()
        self.bus.write32(reg.IRQ_STATUS, 3)

    def set_minimum_version(self, version: int) -> None:
        """Refuse images with a smaller version from now on; a smaller value than before has no effect."""
        self.bus.write32(reg.MIN_VERSION, version)

    def set_watchdog(self, cycles: int) -> None:
        """End a frame with an error after so many cycles; 0: never."""
        self.bus.write32(reg.WATCHDOG, cycles)

    def load(self, image: Image, *, check_config: bool = True, payload: Buffer | None = None, frames: int = 1) -> None:
        """Put an image into memory and its parameters into the registers.

        Args:
            frames: that ``run_batch`` will run in one start at most; more than one only on a streaming pipeline.
            payload: memory that already holds ``image.payload``; it stays its owner's, and is not freed by ``unload``.

        Raises:
            DriverError: the image was made for other hardware.
        """
        if image.isa_version != self.isa_version:
            raise DriverError(f"the image needs instruction set {image.isa_version}, the hardware has "
                              f"{self.isa_version}")
        if check_config and image.config_fingerprint != self.fingerprint:
            raise DriverError("the image was made for another configuration of the accelerator")
        if not 1 <= frames <= (MAX_FRAMES if "pipeline" in image.metadata.get("config", {}) else 1):
            raise DriverError(f"{frames} frames in one start: a streaming pipeline takes 1 to {MAX_FRAMES}, a tensor "
                              "engine one")
        self.unload()
        layout = image.metadata
        self._most_frames = frames
        sizes = [frames * layout["input"]["bytes"], frames * layout["output_bytes"]]
        if layout.get("scratch_bytes"):
            sizes.append(layout["scratch_bytes"])
        if payload is None:
            payload = self.bus.alloc(max(16, len(image.payload)))
            payload.write(image.payload)
            self._own_payload = True
        self.buffers = [payload, *(self.bus.alloc(max(16, size)) for size in sizes)]
        registers = (reg.IMAGE_ADDR_LOW, reg.INPUT_ADDR_LOW, reg.OUTPUT_ADDR_LOW, reg.SCRATCH_ADDR_LOW)
        for low, buffer in zip(registers, self.buffers, strict=False):
            self._write64(low, buffer.address)
        self.bus.write32(reg.PROGRAM_OFFSET, image.program_offset)
        self.bus.write32(reg.PROGRAM_BEATS, image.program_beats)
        self.bus.write32(reg.PROGRAM_FLAGS, image.program_flags | image.program_segment_log2 << 8)
        self._write64(reg.IMAGE_ID_LOW, image.image_id)
        self.bus.write32(reg.IMAGE_VERSION, image.version)
        for word in range(4):
            self.bus.write32(reg.SALT_0 + 4 * word, int.from_bytes(image.salt[4 * word:4 * word + 4], "little"))
        self.image = image

    def unload(self) -> None:
        """Give the image's memory back."""
        for buffer in self.buffers[0 if self._own_payload else 1:]:
            buffer.free()
        self.buffers, self.image, self._own_payload = [], None, False

    def run(self, frame: np.ndarray, *, warm: bool = True) -> FrameResult:
        """Run one frame.

        Args:
            frame: int8 [C, H, W], or real numbers, which are quantised by the input's scale.
            warm: use what the frame before left in the buffers, if it is still there.

        Raises:
            AcceleratorError: the hardware reported an error; no output was written after it.
            DriverError: no image is loaded, the frame has the wrong shape, or the hardware does not answer.
        """
        self.begin(self.pack(frame), warm=warm)
        self.wait()
        return self.result()

    def run_batch(self, frames: Sequence[np.ndarray], *, warm: bool = True) -> list[FrameResult]:
        """Run frames one close behind the other in a streaming pipeline, with one start and one interrupt.

        Args:
            frames: as for ``run``; as many as ``load`` was told at most.

        Returns:
            per frame its result; the counters are those of all of them.

        Raises:
            AcceleratorError: the hardware reported an error; no output was written after it.
            DriverError: see ``run``; too many frames, or none.
        """
        if not 1 <= len(frames) <= self._most_frames:
            raise DriverError(f"{len(frames)} frames, `load` was told {self._most_frames}")
        self.bus.write32(reg.FRAMES, len(frames) - 1)
        try:
            self.begin(b"".join(self.pack(frame) for frame in frames), warm=warm)
        finally:
            self.bus.write32(reg.FRAMES, 0)
        self.wait()
        return [self.result(number) for number in range(len(frames))]

    def pack(self, frame: np.ndarray) -> bytes:
        """What the input buffer holds for a frame, see ``run``."""
        if self.image is None:
            raise DriverError("no image is loaded")
        layout = self.image.metadata["input"]
        return pack_input(frame if frame.dtype == np.int8 else quantise(frame, layout), layout)

    def begin(self, packed: bytes, *, warm: bool = True) -> None:
        """Start a frame of ``pack``."""
        self.buffers[1].write(packed)
        self._warm = warm and bool(self.status >> reg.STATUS_RESIDENT & 1)
        self.start(warm=warm)

    def result(self, number: int = 0) -> FrameResult:
        """What the frame that has ended (``wait``) left; of a batch, frame ``number``."""
        if self.image is None:
            raise DriverError("no image is loaded")
        layout = self.image.metadata
        data = self.buffers[2].read(layout["output_bytes"], number * layout["output_bytes"])

        def tensor_at(where: dict) -> np.ndarray:
            return unpack_output(data[16 * where["offset"]:16 * where["offset"] + where["bytes"]], where)

        output = tensor_at(layout["output"])
        return FrameResult(output=output, real=dequantise(output, layout["output"]),
                           dumps={dump["name"]: tensor_at(dump) for dump in layout["dumps"]},
                           counters=self.counters(), warm=self._warm)

    def start(self, *, warm: bool = True) -> None:
        """Start a frame on what lies in the input buffer."""
        self.bus.write32(reg.CONTROL, 1 << reg.CONTROL_START | warm << reg.CONTROL_WARM_ENABLE)

    def wait(self) -> None:
        """Wait for the end of the frame and clear the interrupt.

        Raises:
            AcceleratorError: the frame ended with an error.
            DriverError: it did not end in time, or the interrupt is that of another engine.
        """
        if not self.bus.wait_irq(self.timeout):
            raise DriverError(f"no interrupt within {self.timeout} s; STATUS is {self.status:#x}")
        if not self.end():
            raise DriverError("another engine's frame has ended: System waits for several at once")

    def end(self) -> bool:
        """Clear the interrupt if the frame has ended.

        Returns:
            whether it has.

        Raises:
            AcceleratorError: it ended with an error.
        """
        status = self.bus.read32(reg.IRQ_STATUS)
        if not status:
            return False
        self.bus.write32(reg.IRQ_STATUS, status)
        if status >> reg.IRQ_STATUS_ERROR & 1:
            raise AcceleratorError(self.bus.read32(reg.ERROR_CODE), self.bus.read32(reg.ERROR_SEGMENT))
        return True

    def counters(self) -> dict[str, int]:
        """The hardware's counters of the last frame."""
        return {name: self.bus.read32(offset) for name, offset in reg.COUNTERS.items()}

    def _write64(self, low: int, value: int) -> None:
        self.bus.write32(low, value & 0xFFFFFFFF)
        self.bus.write32(low + 4, value >> 32)

    def _wait_idle(self) -> None:
        for _ in range(100_000):
            if not self.status >> reg.STATUS_BUSY & 1:
                return
        raise DriverError(f"the accelerator does not become idle; STATUS is {self.status:#x}")
