"""Random small networks on the whole simulated accelerator: every output bit equals the golden model's.

    pytest tests/sim/test_random_networks.py --random-cases 2000 --random-seed 7     # a longer run, other cases
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, note, seed, settings

from hwgen.compiler import compile_network
from hwgen.config.accelerator import AcceleratorConfig, DspPacking, WindowUnit
from hwgen.golden.execute import run_all
from hwgen.image.sealing import sealer_for
from hwgen.image.writer import build_image
from hwgen.seal import Key
from hwgen_sim.simulate import MemoryTiming, run_job
from rtl_templates.verilog import generate
from tests.helpers.layer_cases import CASES, Case, build
from tests.helpers.random_graphs import random_image

KEY = bytes(range(1, 17))
SMALL = AcceleratorConfig(p_i=8, p_o=16, acc_depth=64, acc_bits=32, act_words=1024, line_columns=4, weight_lines=4096,
                          program_words=4096, axi_ports=2)
CONFIGS = {
    "8x16": SMALL,
    "8x8-dsp48e1": SMALL.replace(p_o=8, packing=DspPacking.DSP48E1, line_columns=8, axi_ports=1, act_words=768),
    "16x16-unpacked": SMALL.replace(p_i=16, p_o=16, packing=DspPacking.NONE, acc_depth=32, line_columns=2),
    "8x16-depthwise": SMALL.replace(window=WindowUnit.DEPTHWISE, window_width=16, acc_depth=32),
    "16x32-depthwise5": SMALL.replace(p_i=16, p_o=32, window=WindowUnit.DEPTHWISE, window_kernel=5, window_width=16,
                                      axi_ports=3, act_words=1536),
    "8x16-pool": SMALL.replace(window=WindowUnit.POOL, window_width=16, act_words=400),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGS)
def test_random_networks(name, tmp_path, request):
    config = CONFIGS[name]
    verilog = generate(config)
    count, number = request.config.getoption("--random-cases"), request.config.getoption("--random-seed")
    print(f"{name}: {count} cases, --random-seed {number}")

    @seed(number)
    @settings(max_examples=count, deadline=None, database=None, print_blob=True,
              suppress_health_check=list(HealthCheck))
    @given(case=CASES)
    def equal_to_golden(case: Case) -> None:
        graph = build(case)
        rng = np.random.default_rng(case.seed)
        frames = random_image(rng, graph, 2)
        network = compile_network(graph, config)
        note(f"{config}")
        image = tmp_path / "model.img"
        image.write_bytes(build_image(network, sealer_for(network, Key(KEY), 1)))
        memory = MemoryTiming(bytes_per_cycle=int(rng.integers(4, 48)), stall=float(rng.choice([0.0, 0.3])),
                              read_latency=int(rng.integers(1, 120)), stall_seed=case.seed + 1)
        result = run_job(config, image, list(frames), key=KEY, verilog=verilog, memory=memory, seed=case.seed + 1,
                         watchdog=2_000_000)
        expected = run_all(graph, frames)[graph.output]
        assert len(result.frames) == len(frames)
        for frame, wanted in zip(result.frames, expected, strict=True):
            assert frame.error == 0, frame.message
            assert frame.output is not None
            assert np.array_equal(frame.output.reshape(wanted.shape), wanted)

    equal_to_golden()
