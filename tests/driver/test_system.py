"""The scheduler on a bus without hardware: every frame once, on whichever engine is free, errors in their place."""

import numpy as np
import pytest

from hwgen.driver import AcceleratorError, DriverError, System
from hwgen.driver import register_map as reg
from tests.driver.fake_bus import FakeSystem
from tests.driver.test_accelerator import FRAME, IMAGE, copy


def own_buffers(system, bus):
    """Gives every fake engine the buffers that the driver made for it."""
    for engine, fake in zip(system.engines, bus.engines, strict=True):
        fake.buffers = engine.buffers


def loaded(engines=2, durations=(), frame=copy):
    bus = FakeSystem(engines, durations, frame)
    system = System(bus)
    system.load(IMAGE)
    own_buffers(system, bus)
    return system, bus


@pytest.mark.parametrize("engines", [1, 2, 3])
@pytest.mark.parametrize("durations", [(), (5, 1, 1, 1, 1), (1, 9, 1), (3, 3, 3, 3, 3, 3)])
def test_every_frame_once_and_in_order(engines, durations):
    system, bus = loaded(engines, durations)
    frames = [FRAME + n for n in range(7)]
    results = system.run_many(iter(frames))
    assert all(np.array_equal(result.output, frame) for result, frame in zip(results, frames, strict=True))
    starts = [sum(offset == reg.CONTROL for offset, _ in fake.writes) for fake in bus.engines]
    assert sum(starts) == 7
    assert min(starts) >= 1


def test_a_slow_frame_holds_up_its_own_engine_only():
    system, bus = loaded(2, (100, 1, 1, 1, 1))
    assert len(system.run_many([FRAME] * 6)) == 6
    assert [sum(offset == reg.CONTROL for offset, _ in fake.writes) for fake in bus.engines] == [1, 5]


def test_nothing_to_do():
    system, _ = loaded()
    assert system.run_many([]) == []


def test_an_error_stands_in_its_frames_place():
    seen = []

    def frame(bus):
        seen.append(0)
        return copy(bus) if len(seen) != 2 else 3

    system, _ = loaded(2, (), frame)
    results = system.run_many([FRAME] * 5)
    assert [isinstance(result, AcceleratorError) for result in results] == [False, True, False, False, False]
    assert results[1].code == 3


def test_the_image_lies_in_memory_once():
    system, bus = loaded(3)
    assert sum(buffer.size == len(IMAGE.payload) for buffer in bus.buffers) == 1
    assert len({engine.buffers[0].address for engine in system.engines}) == 1
    others = [buffer.address for engine in system.engines for buffer in engine.buffers[1:]]
    assert len(set(others)) == len(others) == 6
    system.unload()
    assert all(buffer.freed for buffer in bus.buffers)
    system.load(IMAGE)
    system.engines[1].load(IMAGE)  # of its own
    system.unload()
    assert all(buffer.freed for buffer in bus.buffers)


def test_keys_go_to_every_engine():
    bus = FakeSystem(2, (), copy)
    System(bus).set_key(bytes(range(16)))
    for fake in bus.engines:
        assert fake.registers[reg.KEY_0 + 12] == 0x0F0E0D0C


def test_every_engine_has_a_boot_salt_of_its_own():
    bus = FakeSystem(2, (), copy)
    for fake in bus.engines:
        fake.registers[reg.CONFIG0] |= 1 << reg.CONFIG0_PROTECTED
    System(bus).set_key(bytes(16))
    assert len({fake.registers[reg.BOOT_SALT_0] for fake in bus.engines}) == 2
    System(bus).set_key(bytes(16), boot_salts=[bytes([number]) * 16 for number in (1, 2)])
    assert [fake.registers[reg.BOOT_SALT_3] for fake in bus.engines] == [0x01010101, 0x02020202]


def test_refusals():
    bus = FakeSystem(2, (), copy)
    system = System(bus, timeout=0.5)
    with pytest.raises(DriverError, match="no image is loaded"):
        system.run_many([FRAME])
    system, bus = loaded()
    with pytest.raises(DriverError, match="must be int8"):
        system.run_many([FRAME, FRAME, FRAME[:4]])
    # what was running has been aborted
    assert (reg.CONTROL, 1 << reg.CONTROL_SOFT_RESET) in bus.engines[0].writes
    assert (reg.CONTROL, 1 << reg.CONTROL_SOFT_RESET) in bus.engines[1].writes
    system, bus = loaded()
    bus.wait_irq = lambda timeout: False
    with pytest.raises(DriverError, match="no interrupt within"):
        system.run_many([FRAME])


def test_one_engine_does_not_take_anothers_interrupt():
    system, _ = loaded(2, (100, 1))
    first, second = system.engines
    first.begin(first.pack(FRAME))
    second.begin(second.pack(FRAME))
    with pytest.raises(DriverError, match="another engine's frame has ended"):
        first.wait()
    second.wait()


