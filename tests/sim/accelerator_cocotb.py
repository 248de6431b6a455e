"""cocotb side of test_accelerator.py: one accelerator through all that can go wrong, always back to a good frame."""

import json
import os
import random
from pathlib import Path

import numpy as np
from bench_tests import tests_of

from hwgen.driver import Accelerator, AcceleratorError, DriverError, Image
from hwgen.driver import register_map as reg
from hwgen_sim.bus import SimulatedBus
from rtl_templates.shell.error_codes import ErrorCode

FOLDER = Path(os.environ["ACCELERATOR_FILES"])
KEY = bytes.fromhex(os.environ["ACCELERATOR_KEY"])
WATCHDOG = 200_000


class Bench:
    """The accelerator, its driver, the frames and what must come out."""

    def __init__(self, dut):
        self.dut = dut
        self.bus = SimulatedBus(dut, FOLDER, cycles_per_second=1e6)
        self.accelerator = Accelerator(self.bus, timeout=1.0)
        self.frames, self.expected = np.load(FOLDER / "frames.npy"), np.load(FOLDER / "expected.npy")
        self.good = Image.load(FOLDER / "good.img")

    def load(self, name="good"):
        self.accelerator.load(Image.load(FOLDER / f"{name}.img"))

    def good_frame(self, number=0, *, warm=True):
        """Run a frame that must be right."""
        result = self.accelerator.run(self.frames[number], warm=warm)
        assert np.array_equal(result.output.reshape(self.expected[number].shape), self.expected[number])
        return result

    def bad_frame(self, code, *, warm=False, written=False):
        """Run a frame that must end with ``code`` and without any output (unless ``written``)."""
        output = self.accelerator.buffers[2]
        output.write(b"\xa5" * output.size)
        try:
            self.accelerator.run(self.frames[0], warm=warm)
        except AcceleratorError as error:
            assert error.code == code, error
            if not written:
                assert output.read(output.size) == b"\xa5" * output.size
            assert not self.accelerator.status >> reg.STATUS_BUSY & 1
            assert not self.accelerator.status >> reg.STATUS_RESIDENT & 1
            return error
        raise AssertionError(f"the frame should have ended with error {code!r}")


test = tests_of(Bench, error_enable=0, stall=0, read_latency=100)


@test
def frames_cold_and_warm(bench):
    """Every order of cold and warm frames, also under random pauses and long latency."""
    bench.accelerator.set_key(KEY)
    bench.load()
    cold = bench.good_frame(0)
    assert not cold.warm
    warm = bench.good_frame(1)
    assert warm.warm and warm.counters["cycles"] < cold.counters["cycles"]
    assert warm.counters["read_beats"] < cold.counters["read_beats"]
    assert not bench.good_frame(0, warm=False).warm
    for seed in range(3):
        bench.dut.stall.value, bench.dut.stall_seed.value, bench.dut.read_latency.value = 100, seed, 250
        bench.good_frame(seed % 2, warm=bool(seed % 2))
    # another image of the same network, then the first again
    bench.load("second")
    assert not bench.good_frame(1).warm
    bench.load()
    assert not bench.good_frame(0).warm
    assert bench.good_frame(1).warm


@test
def tags(bench):
    """A flipped bit anywhere, a wrong key, no key, an old version."""
    bench.load()
    bench.bad_frame(ErrorCode.NO_KEY)
    bench.accelerator.set_key(bytes(len(KEY)))
    assert bench.bad_frame(ErrorCode.TAG).segment == 0
    bench.accelerator.set_key(KEY)
    bench.good_frame()
    for number, (image, (name, segments)) in enumerate(json.loads((FOLDER / "attacks.json").read_text()).items()):
        bench.load(image)
        assert bench.bad_frame(ErrorCode.TAG).segment in segments, name
        if number % 4 == 0:
            bench.load()
            bench.good_frame(1)
    bench.accelerator.set_minimum_version(bench.good.version + 1)
    bench.bad_frame(ErrorCode.VERSION)
    bench.accelerator.set_minimum_version(0)  # can only rise
    bench.bad_frame(ErrorCode.VERSION)


@test
def bus_errors(bench):
    """SLVERR at the program, a weight, the input, the output."""
    bench.accelerator.set_key(KEY)
    bench.load()
    image, source, output = bench.accelerator.buffers
    rng = random.Random(1)
    for buffer, offset, code in [(image, 0, ErrorCode.READ_BUS),
                                 (image, len(bench.good.payload) - 16, ErrorCode.READ_BUS),
                                 (image, 16 * rng.randrange(len(bench.good.payload) // 16), ErrorCode.READ_BUS),
                                 (source, 0, ErrorCode.READ_BUS), (output, 0, ErrorCode.WRITE_BUS)]:
        bench.dut.error_addr.value = buffer.address + offset
        bench.dut.error_enable.value = 1
        bench.bad_frame(code, written=code == ErrorCode.WRITE_BUS)
        bench.dut.error_enable.value = 0
        bench.good_frame(rng.randrange(2))


@test
def programs(bench):
    """A program of another instruction set version."""
    bench.accelerator.set_key(KEY)
    bench.load("other_isa")
    bench.bad_frame(ErrorCode.PROGRAM)
    bench.load()
    bench.good_frame()


@test
def watchdog(bench):
    """Too few cycles; enough cycles."""
    bench.accelerator.set_key(KEY)
    bench.load()
    bench.good_frame()  # derives the key
    cycles = bench.good_frame(warm=False).counters["cycles"]
    for limit in (1, 100, 300, cycles // 2, cycles - 20):  # the last while the response to the output's write is due
        bench.accelerator.set_watchdog(limit)
        bench.bad_frame(ErrorCode.WATCHDOG, written=limit == cycles - 20)
    bench.accelerator.set_watchdog(cycles + 50)
    bench.good_frame(1)


@test
def resets_in_mid_frame(bench):
    """Soft resets and zeroise at random times: the bus stays clean, the next frame is right."""
    accelerator, rng = bench.accelerator, random.Random(2)
    accelerator.set_key(KEY)
    bench.load()
    cycles = bench.good_frame().counters["cycles"]
    for attempt in range(14):
        bench.dut.stall.value = 80 * (attempt % 3)
        zeroise = attempt % 4 == 3
        output = accelerator.buffers[2]
        output.write(b"\xa5" * output.size)
        accelerator.start(warm=bool(attempt & 1))
        bench.bus.wait_cycles(rng.randrange(1, 600 if attempt % 2 else cycles * 9 // 10))
        if zeroise:
            accelerator.zeroise()
        else:
            bench.bus.write32(reg.CONTROL, 1 << reg.CONTROL_SOFT_RESET)
        try:
            accelerator.wait()
        except AcceleratorError as error:
            assert error.code == (ErrorCode.ZEROISED if zeroise else ErrorCode.ABORTED)
            assert output.read(output.size) == b"\xa5" * output.size
        else:
            raise AssertionError("the frame ended before the reset")
        if zeroise:
            assert not accelerator.status >> reg.STATUS_KEY_LOADED & 1
            bench.bad_frame(ErrorCode.NO_KEY)
            accelerator.set_key(KEY)
        assert not bench.good_frame(attempt % 2).warm
    # a reset without a frame does no harm
    accelerator.reset()
    bench.good_frame()


@test
def locks(bench):
    """What software must not change while a frame runs, and a locked key."""
    accelerator, bus = bench.accelerator, bench.bus
    accelerator.set_key(KEY)
    bench.load()
    accelerator.start()
    bus.write32(reg.KEY_0, 0)
    bus.write32(reg.KEY_CONTROL, 1)
    bus.write32(reg.IMAGE_ADDR_LOW, 0)
    bus.write32(reg.SALT_0, 0)
    accelerator.start()
    accelerator.wait()
    assert not bus.wait_irq(0.001)
    bench.good_frame(1)
    assert all(bus.read32(reg.KEY_0 + 4 * word) == 0 for word in range(8))
    accelerator.lock_key()
    assert accelerator.status >> reg.STATUS_KEY_LOCKED & 1
    accelerator.set_key(bytes(len(KEY)))  # ignored
    bench.good_frame()
    accelerator.zeroise()
    try:
        accelerator.set_key(KEY)
    except DriverError:
        pass
    else:
        raise AssertionError("a locked key was written")
    bench.bad_frame(ErrorCode.NO_KEY)
