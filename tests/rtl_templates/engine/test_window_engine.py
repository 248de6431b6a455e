"""Programs in which array and window unit take turns or run side by side, against naive integer arithmetic."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from hwgen.config.accelerator import AcceleratorConfig, WindowUnit
from hwgen.isa.layout import COMPUTE_FIELDS, ComputeFlag, decode, encode
from rtl_templates.engine.timing import WINDOW_START, window_latency
from tests.helpers.bare_engine import (
    END,
    build,
    conv_descriptor,
    conv_stream,
    map_addresses,
    odd,
    pack_map,
    reference_conv,
    reference_requantise,
    run,
    unpack_map,
)
from tests.helpers.window_layers import random_layer

pytestmark = pytest.mark.slow

CONFIGS = {
    "3x3": AcceleratorConfig(p_i=8, p_o=16, act_words=3070, weight_lines=2048, acc_depth=256,
                             window=WindowUnit.DEPTHWISE, window_width=16),
    "5x5, 16 lanes": AcceleratorConfig(p_i=16, p_o=16, act_words=2050, weight_lines=2048, acc_depth=256,
                                       window=WindowUnit.DEPTHWISE, window_kernel=5, window_width=16),
    "maxima": AcceleratorConfig(p_i=8, p_o=16, act_words=3070, weight_lines=2048, acc_depth=256, window=WindowUnit.POOL,
                                window_width=16),
}


@pytest.fixture(scope="module", params=list(CONFIGS))
def engine(request: pytest.FixtureRequest):
    """Configuration and simulator."""
    return CONFIGS[request.param], build(CONFIGS[request.param])


@dataclass
class Program:
    """A program that grows by layers; every tensor has its own place."""

    config: AcceleratorConfig
    rng: np.random.Generator
    words: dict[int, str] = field(default_factory=dict)
    tensors: list[tuple[np.ndarray, int, int]] = field(default_factory=list)  #: values, address, descriptors before it
    lines: list[bytes] = field(default_factory=list)
    descriptors: list[bytes] = field(default_factory=list)
    at: int = 0

    def place(self, shape: tuple[int, int, int]) -> int:
        """Room for a tensor; it straddles no banks."""
        size = -(-shape[0] // self.config.p_i) * odd(shape[1] * shape[2])
        offset = self.at % self.config.act_stride
        if offset + size > self.config.act_words:
            self.at += self.config.act_stride - offset
        address = self.at
        self.at += size + size % 2
        assert address + size <= self.config.act_stride + self.config.act_words
        return address

    def add_input(self, shape: tuple[int, int, int]) -> int:
        """A tensor that is there from the start."""
        x = self.rng.integers(-128, 128, shape).astype(np.int8)
        address = self.place(shape)
        pack_map(self.config, x, address, self.words)
        self.tensors.append((x, address, 0))
        return len(self.tensors) - 1

    def _add(self, descriptor: bytes, lines: list[bytes], result: np.ndarray, dst: int, source: int) -> int:
        fields = decode(COMPUTE_FIELDS, descriptor)
        fields |= {"weight_line": len(self.lines), "weight_seq": len(self.lines),
                   "wait_progress": self.tensors[source][2], "flags": fields["flags"] | 1 << ComputeFlag.RELEASE}
        self.descriptors.append(encode(COMPUTE_FIELDS, fields))
        self.lines += lines
        self.tensors.append((result, dst, len(self.descriptors)))
        return len(self.tensors) - 1

    def add_conv(self, source: int, channels: int, kernel: int, stride: int) -> int:
        """A convolution in the array."""
        x, src, _ = self.tensors[source]
        rng = self.rng
        weight = rng.integers(-127, 128, (channels, x.shape[0], kernel, kernel)).astype(np.int8)
        parameters = (rng.integers(-20000, 20000, channels), rng.integers(1 << 15, 1 << 16, channels),
                      np.zeros(channels, int), rng.integers(22, 27, channels))
        geometry = {"stride": (stride, stride), "padding": (kernel // 2, kernel // 2), "dilation": (1, 1)}
        acc = reference_conv(x, weight, parameters[0], **geometry)
        dst = self.place(acc.shape)
        descriptor, _ = conv_descriptor(self.config, x.shape, weight, **geometry, src=src, dst=dst, drain=False)
        return self._add(descriptor, conv_stream(self.config, weight, parameters, False)[0],
                         reference_requantise(acc, parameters, None), dst, source)

    def add_window(self, source: int) -> int:
        """A layer of the window unit."""
        x, src, _ = self.tensors[source]
        kernels = self.rng.integers(1, self.config.window_kernel + 1, 2)
        layer = random_layer(
            self.rng, self.config, maximum=self.config.window is WindowUnit.POOL or bool(self.rng.integers(2)),
            kernel=(int(kernels[0]), int(kernels[1])), stride=(int(self.rng.integers(1, 3)), 1), x=x)
        dst = self.place(layer.result_shape)
        fields = layer.fields(self.config, src=src, src_plane=odd(x.shape[1] * x.shape[2]), dst=dst,
                              dst_plane=odd(layer.result_shape[1] * layer.result_shape[2]))
        return self._add(encode(COMPUTE_FIELDS, fields), layer.lines(self.config), layer.result(), dst, source)

    def check(self, simulator: object, folder: Path, load_gap: float) -> dict:
        """Run it; every tensor must be right. The counters."""
        made = [t for t in self.tensors if t[2]]
        part = {"activations": self.words, "weights": {i: line.hex() for i, line in enumerate(self.lines)},
                "descriptors": [d.hex() for d in (*self.descriptors, END)], "load_gap": load_gap,
                "reads": sorted({a for x, dst, _ in made for a in map_addresses(self.config, dst, x.shape)})}
        result = run(simulator, folder, [part], ring_lines=self.config.weight_lines)
        for number, (expected, dst, _) in enumerate(made):
            got = unpack_map(self.config, result["words"], dst, expected.shape)
            wrong = np.argwhere(got != expected)
            assert not len(wrong), f"descriptor {number}: {len(wrong)} of {got.size}, first at {wrong[0].tolist()}"
        return result["counters"]


@pytest.mark.parametrize("seed", range(4))
def test_random_programs(engine, tmp_path: Path, seed: int) -> None:
    config, simulator = engine
    program = Program(config, np.random.default_rng(seed))
    rng = program.rng
    program.add_input((11, 9, 8))
    program.add_input((20, 6, 16))
    for number in range(8):
        # often the tensor before, so that units wait for each other, or an older one, so that they need not
        source = len(program.tensors) - 1 if rng.random() < 0.6 else int(rng.integers(len(program.tensors)))
        shape = program.tensors[source][0].shape
        if shape[2] >= 4 and (rng.random() < 0.6 or (seed == 3 and number < 4)):
            program.add_window(source)
        else:
            program.add_conv(source, int(rng.integers(4, 30)), int(rng.choice([1, 3])), 1)
    program.check(simulator, tmp_path, 0.3 * (seed % 2))


@pytest.mark.parametrize("kind", ["window", "array"])
def test_programs_of_one_unit(engine, tmp_path: Path, kind: str) -> None:
    config, simulator = engine
    program = Program(config, np.random.default_rng(7))
    x = program.add_input((20, 9, 8))
    for _ in range(3):
        if kind == "window":
            program.add_window(x)
        else:
            program.add_conv(x, 10, 3, 1)
    counters = program.check(simulator, tmp_path, 0.0)
    assert (counters["busy"] == 0) == (kind == "window")
    assert (counters["window_busy"] == 0) == (kind == "array")


def test_side_by_side(engine, tmp_path: Path) -> None:
    """Two units that need not wait for each other take less time than one after the other."""
    config, simulator = engine
    cycles = {}
    for order in ("beside", "after"):
        program = Program(config, np.random.default_rng(3))
        x, y = program.add_input((config.p_i, 15, 16)), program.add_input((config.p_i, 16, 15))
        after_window = program.add_window(x)
        program.add_conv(y, config.p_o, 3, 1)
        if order == "after":
            fields = decode(COMPUTE_FIELDS, program.descriptors[-1])
            program.descriptors[-1] = encode(COMPUTE_FIELDS, fields | {"wait_progress": 1})
            assert program.tensors[after_window][2] == 1
        counters = program.check(simulator, tmp_path / order, 0.0)
        cycles[order] = sum(counters[name] for name in counters if name != "window_busy")
        assert counters["busy"] == 9 * 15 * 16
        waited = counters["stall_window"]
    assert waited >= 15 * 16 - 1 + WINDOW_START + window_latency(config) - 50
    assert cycles["after"] - cycles["beside"] > waited - 50
