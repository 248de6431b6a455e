"""The driver: loads an image, runs frames, reads counters and errors. Needs numpy only.

The same code runs on a board (``pynq_bus``) and drives the simulated hardware, where only the bus differs.
"""

from .accelerator import Accelerator, FrameResult
from .bus import Buffer, Bus
from .errors import AcceleratorError, DriverError
from .image import Image
from .system import System

__all__ = ["Accelerator", "AcceleratorError", "Buffer", "Bus", "DriverError", "FrameResult", "Image", "System"]
