"""The whole accelerator on networks whose feature maps do not fit on the chip."""

from pathlib import Path

import numpy as np
import pytest

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.golden.execute import run_all
from hwgen.image.sealing import sealer_for
from hwgen.image.writer import build_image
from hwgen.ir.nodes import Graph
from hwgen.seal import Key
from hwgen_sim.simulate import BusFault, MemoryTiming, run_job
from rtl_templates.shell.error_codes import ErrorCode
from tests.helpers.emulate import check
from tests.helpers.random_graphs import GraphBuilder, random_image

pytestmark = pytest.mark.slow
KEY = bytes(range(1, 17))
SMALL = AcceleratorConfig(p_i=8, p_o=16, acc_depth=64, acc_bits=32, act_words=256, line_columns=4, weight_lines=512,
                          program_words=4096, axi_ports=2)
WIDE = SMALL.replace(p_i=16, p_o=32, act_words=128, axi_ports=3)


def network(rng: np.random.Generator) -> Graph:
    """Stem, overlapping pool, residual block of stride 2, concatenation, more weights than the ring, a raw map."""
    builder = GraphBuilder(rng, (3, 21, 21))
    x = builder.conv("input", 16, (5, 5), (2, 2), padding=(2, 2, 2, 2))
    x = builder.max_pool(x, (3, 3), (1, 1), (1, 1, 1, 1))
    y = builder.conv(x, 40, (3, 3), (2, 2), padding=(1, 1, 1, 1))
    skip = builder.conv(x, 40, (1, 1), (2, 2), padding=(0, 0, 0, 0))
    y = builder.conv(y, 40, (3, 3), residual=skip)
    z = builder.conv(y, 24, (1, 1))
    x = builder.concat(y, z)
    x = builder.conv(x, 40, (3, 3), residual=skip)
    x = builder.add(x, y)
    builder.conv(x, 16, (1, 1), raw=True)
    return builder.graph("strips")


@pytest.mark.parametrize("config", [SMALL, WIDE], ids=["8x16", "16x32"])
def test_spilled_network(tmp_path: Path, config: AcceleratorConfig) -> None:
    rng = np.random.default_rng(21)
    graph = network(rng)
    frames = random_image(rng, graph, 3)
    compiled = check(graph, config, frames)  # in the emulator first
    assert compiled.strips and compiled.scratch_bytes and not compiled.resident
    path = tmp_path / "strips.img"
    path.write_bytes(build_image(compiled, sealer_for(compiled, Key(KEY), 5)))
    expected = run_all(graph, frames)[graph.output]
    for seed, memory in enumerate((MemoryTiming(), MemoryTiming(bytes_per_cycle=8, read_latency=30, write_latency=200),
                                   MemoryTiming(stall=0.3, stall_seed=4))):
        result = run_job(config, path, list(frames), key=KEY, memory=memory, seed=seed + 1, timeout_cycles=2_000_000)
        for frame, wanted in zip(result.frames, expected, strict=True):
            assert frame.error == 0, frame.message
            assert frame.output is not None and np.array_equal(frame.output.reshape(wanted.shape), wanted)
    for offset in (0, compiled.scratch_bytes // 2 // 16 * 16):
        broken = run_job(config, path, list(frames[:1]), key=KEY, fault=BusFault("scratch", offset),
                         timeout_cycles=2_000_000)
        assert broken.frames[0].error in (ErrorCode.WRITE_BUS, ErrorCode.READ_BUS)
    late = run_job(config, path, list(frames[:1]), key=KEY, watchdog=9_000, timeout_cycles=2_000_000)
    assert late.frames[0].error == ErrorCode.WATCHDOG
