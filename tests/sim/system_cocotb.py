"""cocotb side of test_system.py: two engines with an image and a key of their own each."""

import os
from pathlib import Path

import numpy as np
from bench_tests import tests_of

from hwgen.driver import Image, System
from hwgen.driver import register_map as reg
from hwgen_sim.bus import SimulatedBus
from rtl_templates.shell.error_codes import ErrorCode

FOLDER = Path(os.environ["SYSTEM_FILES"])
KEYS = [bytes.fromhex(key) for key in os.environ["SYSTEM_KEYS"].split()]
NAMES = ("one", "two")


class Bench:
    """Both engines, their frames and what must come out."""

    def __init__(self, dut):
        self.bus = SimulatedBus(dut, FOLDER, cycles_per_second=1e6)
        self.system = System(self.bus, timeout=1.0)
        assert len(self.system.engines) == 2
        self.frames = [np.load(FOLDER / f"{name}_frames.npy") for name in NAMES]
        self.expected = [np.load(FOLDER / f"{name}_expected.npy") for name in NAMES]
        for number, engine in enumerate(self.system.engines):
            engine.set_key(KEYS[number])
            self.load(number)

    def load(self, number, suffix=""):
        self.system.engines[number].load(Image.load(FOLDER / f"{NAMES[number]}{suffix}.img"))

    def begin(self, number, frame):
        engine = self.system.engines[number]
        engine.begin(engine.pack(self.frames[number][frame]))

    def check(self, number, frame):
        """The frame's output is right."""
        result = self.system.engines[number].result()
        expected = self.expected[number][frame]
        assert np.array_equal(result.output.reshape(expected.shape), expected)
        return result

    def ends(self, numbers):
        """Wait for the engines' frames; engine -> error."""
        left, errors = [self.system.engines[number] for number in numbers], {}
        while left:
            for engine, error in self.system.wait_any(left):
                left.remove(engine)
                errors[self.system.engines.index(engine)] = error
        return errors


test = tests_of(Bench)


@test
def two_networks_at_once(bench):
    """Different images under different keys, cold and warm."""
    for frame in (0, 1, 0):
        for number in (0, 1):
            bench.begin(number, frame)
        assert bench.ends((0, 1)) == {0: None, 1: None}
        results = [bench.check(number, frame) for number in (0, 1)]
        assert results[0].counters["busy"] != results[1].counters["busy"]
    assert all(result.warm for result in results)


@test
def a_wrong_tag_stays_where_it_is(bench):
    """One engine's image is damaged; the other goes on, warm, and the first is right again with a good image."""
    for bad in (0, 1):
        good = 1 - bad
        bench.begin(good, 0)
        assert bench.ends((good,)) == {good: None}
        bench.load(bad, "_damaged")
        blank = b"\xa5" * bench.system.engines[bad].buffers[2].size
        bench.system.engines[bad].buffers[2].write(blank)
        bench.begin(good, 1)
        bench.begin(bad, 0)
        errors = bench.ends((0, 1))
        assert errors[good] is None and errors[bad].code == ErrorCode.TAG
        assert bench.system.engines[bad].buffers[2].read(len(blank)) == blank
        assert bench.check(good, 1).warm
        bench.load(bad)
        bench.begin(good, 0)
        bench.begin(bad, 1)
        assert bench.ends((0, 1)) == {0: None, 1: None}
        assert bench.check(good, 0).warm
        assert not bench.check(bad, 1).warm


@test
def resets_and_keys_are_the_engines_own(bench):
    """Zeroising or resetting one engine in mid-frame leaves the other's frame and key alone."""
    for victim in (0, 1):
        other = 1 - victim
        for zeroise in (False, True):
            for number in (0, 1):
                bench.begin(number, 0)
            bench.bus.wait_cycles(700)
            engine = bench.system.engines[victim]
            if zeroise:
                engine.zeroise()
            else:
                engine.bus.write32(reg.CONTROL, 1 << reg.CONTROL_SOFT_RESET)
            errors = bench.ends((0, 1))
            assert errors[other] is None
            assert errors[victim].code == (ErrorCode.ZEROISED if zeroise else ErrorCode.ABORTED)
            bench.check(other, 0)
            loaded = [one.status >> reg.STATUS_KEY_LOADED & 1 for one in bench.system.engines]
            assert loaded[other] and loaded[victim] == (not zeroise)
            engine.set_key(KEYS[victim])
            bench.begin(victim, 1)
            assert bench.ends((victim,)) == {victim: None}
            bench.check(victim, 1)
