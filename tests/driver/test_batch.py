"""Frames close behind one another on a streaming pipeline, on a bus without hardware."""

import dataclasses

import numpy as np
import pytest

from hwgen.driver import Accelerator, DriverError
from hwgen.driver import register_map as reg
from tests.driver.fake_bus import FakeBus
from tests.driver.test_accelerator import FRAME, IMAGE

PIPELINE = dataclasses.replace(IMAGE, metadata={**IMAGE.metadata, "config": {"pipeline": {}}})


def copy_all(bus):
    """Every frame: output = input, one beat behind the start."""
    for number in range(bus.read32(reg.FRAMES) + 1):
        bus.buffers[2].write(bus.buffers[1].read(48, 48 * number), 64 * number + 16)
    return 0


def test_a_batch():
    bus = FakeBus(copy_all)
    accelerator = Accelerator(bus)
    accelerator.load(PIPELINE, frames=3)
    frames = [FRAME, FRAME[::-1].copy(), FRAME + 1]
    for count in (3, 2):
        results = accelerator.run_batch(frames[:count])
        assert [np.array_equal(r.output, f) for r, f in zip(results, frames, strict=False)] == [True] * count
    assert bus.read32(reg.FRAMES) == 0  # a single frame may follow
    assert np.array_equal(accelerator.run(frames[2]).output, frames[2])


def test_no_more_frames_than_there_is_room_for():
    accelerator = Accelerator(FakeBus(copy_all))
    accelerator.load(PIPELINE, frames=2)
    with pytest.raises(DriverError, match="3 frames, `load` was told 2"):
        accelerator.run_batch([FRAME] * 3)
    with pytest.raises(DriverError, match="0 frames"):
        accelerator.run_batch([])
    with pytest.raises(DriverError, match="takes 1 to 4096, a tensor engine one"):
        accelerator.load(IMAGE, frames=2)
