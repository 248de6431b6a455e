"""The driver's logic on a bus without hardware."""

import dataclasses

import numpy as np
import pytest

from hwgen.driver import Accelerator, AcceleratorError, DriverError, Image
from hwgen.driver import register_map as reg
from tests.driver.fake_bus import FakeBus

INPUT = {"kind": "plain", "channels": 8, "height": 2, "width": 2, "p_i": 8, "planes": 1, "plane_stride": 5,
         "scale": 0.5, "bytes": 48}
OUTPUT = {"kind": "int8", "channels": 8, "height": 2, "width": 2, "shape": [8, 2, 2], "p_i": 8, "plane_stride": 5,
          "parts": [[0, 8, 0]], "scale": 2.0, "offset": 1, "bytes": 48}
IMAGE = Image(isa_version=1, debug=False, image_id=0x1122334455667788, version=3, salt=bytes(range(16)),
              config_fingerprint=bytes(16), program_offset=2, program_beats=40, program_flags=1, program_segment_log2=7,
              payload=bytes(range(160)),
              metadata={"input": INPUT, "output": OUTPUT, "output_bytes": 64, "dumps": []})
FRAME = np.arange(32, dtype=np.int8).reshape(8, 2, 2)


def copy(bus):
    """The frame: output = input, one beat behind the start."""
    bus.buffers[2].write(bus.buffers[1].read(48), 16)
    return 0


def test_a_frame():
    bus = FakeBus(copy)
    accelerator = Accelerator(bus)
    accelerator.load(IMAGE)
    result = accelerator.run(FRAME)
    assert np.array_equal(result.output, FRAME) and np.array_equal(result.real, 2.0 * FRAME)
    assert set(result.counters) >= {"cycles", "busy", "stall_weights"} and not result.warm
    image, source, output = bus.buffers
    assert image.read(160) == IMAGE.payload
    for low, buffer in ((reg.IMAGE_ADDR_LOW, image), (reg.INPUT_ADDR_LOW, source), (reg.OUTPUT_ADDR_LOW, output)):
        assert bus.read32(low) | bus.read32(low + 4) << 32 == buffer.address
    assert bus.read32(reg.IMAGE_ID_LOW) | bus.read32(reg.IMAGE_ID_HIGH) << 32 == IMAGE.image_id
    assert b"".join(bus.read32(reg.SALT_0 + 4 * k).to_bytes(4, "little") for k in range(4)) == IMAGE.salt
    assert bus.read32(reg.PROGRAM_FLAGS) == 1 | 7 << 8 and bus.read32(reg.PROGRAM_BEATS) == 40
    assert bus.writes[-2] == (reg.CONTROL, 1 | 1 << 8)
    accelerator.run(FRAME, warm=False)
    assert bus.writes[-2] == (reg.CONTROL, 1)
    accelerator.unload()
    assert all(buffer.freed for buffer in bus.buffers)


def test_scratch_buffer():
    bus = FakeBus(copy)
    accelerator = Accelerator(bus)
    accelerator.load(dataclasses.replace(IMAGE, metadata={**IMAGE.metadata, "scratch_bytes": 4096}))
    scratch = bus.buffers[3]
    assert scratch.size == 4096
    assert bus.read32(reg.SCRATCH_ADDR_LOW) | bus.read32(reg.SCRATCH_ADDR_HIGH) << 32 == scratch.address
    accelerator.load(IMAGE)
    assert scratch.freed and len(accelerator.buffers) == 3


def test_real_numbers_are_quantised():
    bus = FakeBus(copy)
    accelerator = Accelerator(bus)
    accelerator.load(IMAGE)
    assert np.array_equal(accelerator.run(FRAME * 0.5).output, FRAME)


@pytest.mark.parametrize("code,text", [(1, "answered a read"), (3, "segment 17 of the image has a wrong tag"),
                                       (5, "watchdog"), (6, "no key"), (99, "unknown")])
def test_errors_in_words(code, text):
    bus = FakeBus(lambda bus: code)
    bus.registers[reg.ERROR_SEGMENT] = 17
    accelerator = Accelerator(bus)
    accelerator.load(IMAGE)
    with pytest.raises(AcceleratorError, match=text) as caught:
        accelerator.run(FRAME)
    assert (caught.value.code, caught.value.segment) == (code, 17)
    assert bus.read32(reg.IRQ_STATUS) == 0


@pytest.mark.parametrize("bits", [128, 256])
def test_keys(bits):
    bus, key = FakeBus(key_bits=bits), bytes(range(100, 100 + bits // 8))
    accelerator = Accelerator(bus)
    accelerator.set_key(key)
    words = [value for offset, value in bus.writes if reg.KEY_0 <= offset < reg.KEY_0 + 32]
    assert b"".join(word.to_bytes(4, "little") for word in words) == key
    with pytest.raises(DriverError, match=f"{bits // 8} bytes, not 5"):
        accelerator.set_key(b"short")
    accelerator.lock_key()
    bus.registers[reg.STATUS] = 0
    with pytest.raises(DriverError, match="locked"):
        accelerator.set_key(key)


def test_boot_salt():
    """Where feature maps are protected, the key comes with a salt: a random one, or the caller's."""
    def salt_of(bus):
        return b"".join(value.to_bytes(4, "little") for offset, value in bus.writes
                        if reg.BOOT_SALT_0 <= offset <= reg.BOOT_SALT_3)

    plain, salts = FakeBus(), []
    Accelerator(plain).set_key(bytes(16))
    assert not salt_of(plain)
    for given in (None, None, bytes(range(16))):
        bus = FakeBus()
        bus.registers[reg.CONFIG0] |= 1 << reg.CONFIG0_PROTECTED
        accelerator = Accelerator(bus)
        accelerator.set_key(bytes(16), boot_salt=given)
        salts.append(salt_of(bus))
        order = [offset for offset, _ in bus.writes]
        assert order.index(reg.KEY_3) < order.index(reg.BOOT_SALT_0) < order.index(reg.KEY_CONTROL)
        with pytest.raises(DriverError, match="16 bytes, not 3"):
            accelerator.set_key(bytes(16), boot_salt=b"abc")
    assert salts[2] == bytes(range(16)) and len(set(salts)) == 3 and {len(salt) for salt in salts} == {16}


def test_refusals():
    bus = FakeBus(lambda bus: None)
    accelerator = Accelerator(bus, timeout=0.5)
    with pytest.raises(DriverError, match="no image is loaded"):
        accelerator.run(FRAME)
    with pytest.raises(DriverError, match="needs instruction set 9, the hardware has 1"):
        accelerator.load(dataclasses.replace(IMAGE, isa_version=9))
    with pytest.raises(DriverError, match="another configuration"):
        accelerator.load(dataclasses.replace(IMAGE, config_fingerprint=b"x" * 16))
    accelerator.load(dataclasses.replace(IMAGE, config_fingerprint=b"x" * 16), check_config=False)
    with pytest.raises(DriverError, match="must be int8"):
        accelerator.run(FRAME[:4])
    with pytest.raises(DriverError, match=r"no interrupt within 0\.5 s"):
        accelerator.run(FRAME)
    bus.registers[reg.ID] = 0xFFFFFFFF
    with pytest.raises(DriverError, match="no hwgen accelerator here: ID reads 0xffffffff"):
        Accelerator(bus)


def test_idle_waits_end():
    bus = FakeBus()
    accelerator = Accelerator(bus)
    accelerator.reset()
    accelerator.zeroise()
    assert (reg.CONTROL, 2) in bus.writes and (reg.CONTROL, 4) in bus.writes
