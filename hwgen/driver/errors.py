"""What can go wrong, in words."""

from __future__ import annotations

#: ERROR_CODE of the hardware -> what happened, what to do
MESSAGES = {
    1: "the memory answered a read with an error: is the image, input or output address mapped for the accelerator?",
    2: "the memory answered a write with an error: is the output address mapped for the accelerator?",
    3: "segment {segment} of the image has a wrong tag: the image was damaged or changed, or the key is not its key",
    4: "the program does not fit this hardware: the image was made for another configuration",
    5: "the frame took longer than the watchdog allows",
    6: "no key was set (it includes the boot salt, where feature maps are protected)",
    7: "the image's version is below the minimum version set in the hardware",
    8: "the frame was aborted",
    9: "the key and the buffers were erased while the frame was running",
    10: "the row of a feature map at 16-byte unit {segment} of the scratch buffer has a wrong tag: the memory was "
        "damaged or changed while the frame was running",
}


class DriverError(Exception):
    """The driver was used wrongly, or the image or the hardware is not what it should be."""


class AcceleratorError(DriverError):
    """The hardware ended a frame with an error.

    Args:
        code: ERROR_CODE.
        segment: ERROR_SEGMENT.
    """

    def __init__(self, code: int, segment: int) -> None:
        self.code, self.segment = code, segment
        text = MESSAGES.get(code, "unknown error").format(segment=segment)
        super().__init__(f"accelerator error {code}: {text}")
