"""cocotb side of test_protection.py: what lies in the scratch buffer, and what comes of changing it in a frame."""

import json
import os
from pathlib import Path

import numpy as np
from bench_tests import tests_of

from hwgen.driver import Accelerator, AcceleratorError, Image
from hwgen.driver import register_map as reg
from hwgen.seal import Key, derive_spill_key, open_row
from hwgen_sim.bus import SimulatedBus
from rtl_templates.shell.error_codes import ErrorCode

FOLDER = Path(os.environ["PROTECTION_FILES"])
KEY = bytes.fromhex(os.environ["PROTECTION_KEY"])
SALT = bytes(range(100, 116))
#: what the scratch buffer holds before a frame that is attacked
BLANK = b"\x5a"


class Bench:
    """The accelerator, its driver, frames with what must come out and what must lie in the scratch buffer."""

    def __init__(self, dut):
        self.dut = dut
        self.bus = SimulatedBus(dut, FOLDER, cycles_per_second=1e6)
        self.accelerator = Accelerator(self.bus, timeout=1.0)
        self.frames, self.expected = np.load(FOLDER / "frames.npy"), np.load(FOLDER / "expected.npy")
        self.plain = [row.tobytes() for row in np.load(FOLDER / "scratch.npy")]
        #: place of every row, in beats, and its beats; in the order in which they are stored
        self.rows = [tuple(row) for row in json.loads((FOLDER / "rows.json").read_text())]
        self.accelerator.load(Image.load(FOLDER / "good.img"))
        self.scratch = self.accelerator.buffers[3]
        self.size = len(self.plain[0])
        self.started = 0
        self.cycles = []

    def good_frame(self, number=0, *, warm=True):
        """Run a frame that must be right; the scratch buffer behind it."""
        self.started += 1
        result = self.accelerator.run(self.frames[number], warm=warm)
        assert np.array_equal(result.output.reshape(self.expected[number].shape), self.expected[number])
        self.cycles.append(result.counters["cycles"])
        return self.scratch.read(self.size)

    def attacked(self, code, change, *, until):
        """Start a frame, wait for row number ``until`` to be stored, change the buffer's bytes; the error's segment."""
        output = self.accelerator.buffers[2]
        output.write(b"\xa5" * output.size)
        self.scratch.write(BLANK * self.size)
        self.started += 1
        self.accelerator.begin(self.accelerator.pack(self.frames[0]))
        offset, beats = self.rows[until]
        tag = 16 * (offset + beats)
        while self.scratch.read(16, tag) == BLANK * 16:
            self.bus.wait_cycles(4)
        for at, data in change(self.scratch.read(self.size)):
            self.scratch.write(data, at)
        try:
            self.accelerator.wait()
        except AcceleratorError as error:
            assert error.code == code, error
            assert output.read(output.size) == b"\xa5" * output.size
            assert not self.accelerator.status >> reg.STATUS_RESIDENT & 1
            return error.segment
        raise AssertionError("the frame should have ended with an error")


def flipped(data, bit):
    """16 bytes with another bit."""
    return (int.from_bytes(data, "little") ^ 1 << bit).to_bytes(len(data), "little")


test = tests_of(Bench, stall=0)


@test
def frames(bench):
    """Right outputs, cold and warm, under pauses; the scratch buffer holds what pycryptodome opens, and differs."""
    key, seen = derive_spill_key(Key(KEY), SALT), []
    bench.accelerator.set_key(KEY, boot_salt=SALT)
    for number, stall in ((0, 0), (0, 0), (1, 80)):
        bench.dut.stall.value = stall
        seen.append(bench.good_frame(number))
        for offset, beats in bench.rows:
            sealed = seen[-1][16 * offset:16 * (offset + beats + 1)]
            row = bench.plain[number][16 * offset:16 * (offset + beats)]
            assert open_row(key, bench.started, offset, sealed) == row
            assert not any(row) or sealed[:-16] != row
    for offset, beats in bench.rows:  # equal frames, other ciphertext and tags
        places = [slice(16 * offset, 16 * (offset + beats)), slice(16 * (offset + beats), 16 * (offset + beats + 1))]
        assert all(seen[0][place] != seen[1][place] for place in places)
    (FOLDER / "cycles.json").write_text(json.dumps(bench.cycles[:2]))


@test
def attacks(bench):
    """A bit of a row or of a tag, rows in each other's places, a row of the frame before: refused by their place."""
    bench.accelerator.set_key(KEY, boot_salt=SALT)
    before = bench.good_frame()
    (first, beats), (second, _) = bench.rows[2:4]  # of one store
    assert first
    row, tag = 16 * first, 16 * (first + beats)
    both = 16 * (beats + 1)
    for until, change in (
            (2, lambda now: [(row, flipped(now[row:row + 16], 77))]),
            (2, lambda now: [(tag, flipped(now[tag:tag + 16], 5))]),
            (2, lambda now: [(row, before[row:row + both])]),
            (3, lambda now: [(row, now[16 * second:16 * second + both]), (16 * second, now[row:row + both])])):
        assert bench.attacked(ErrorCode.ROW, change, until=until) == first
    bench.good_frame(1)
    # what no load reads any more does no harm, nor does writing the same again
    last = 16 * bench.rows[-1][0]
    bench.scratch.write(bytes(16), last)
    bench.good_frame()


@test
def keys(bench):
    """No boot salt, no frame; zeroise ends it; another salt, other ciphertext."""
    accelerator = bench.accelerator
    for word in range(4):
        bench.bus.write32(reg.KEY_0 + 4 * word, int.from_bytes(KEY[4 * word:4 * word + 4], "little"))
    bench.bus.write32(reg.KEY_CONTROL, 1)
    assert not accelerator.status >> reg.STATUS_KEY_LOADED & 1
    for _ in range(2):
        try:
            accelerator.run(bench.frames[0])
        except AcceleratorError as error:
            assert error.code == ErrorCode.NO_KEY
        else:
            raise AssertionError("a frame without a key")
        accelerator.set_key(KEY, boot_salt=SALT)
        accelerator.zeroise()
    accelerator.set_key(KEY)
    assert all(bench.bus.read32(reg.BOOT_SALT_0 + 4 * word) == 0 for word in range(4))
    bench.good_frame()
