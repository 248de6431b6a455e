"""The proof of a design with several engines: all frames of all of them are compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwgen.compiler.compile import compile_network
from hwgen.config.accelerator import AcceleratorConfig
from hwgen.config.system import SystemConfig
from hwgen.image.sealing import sealer_for
from hwgen.image.writer import build_image
from hwgen.pipeline.build import default_cache
from hwgen.seal import Key
from hwgen.verify.expected import expected_tensors, integer_inputs
from hwgen.verify.mutate import flip_result_bit
from hwgen.verify.proof import FRAMES_PER_ENGINE, Job, prove
from hwgen_sim.simulate import MemoryTiming
from rtl_templates.verilog import generate
from tests.helpers.networks import quantised, residual_network

pytestmark = pytest.mark.slow
#: the design of tests/sim/test_system.py, so that one simulator does for both
SYSTEM = SystemConfig(engines=2, engine=AcceleratorConfig(
    p_i=8, p_o=16, acc_depth=64, acc_bits=32, act_words=2048, line_columns=4, weight_lines=4096, program_words=1024,
    axi_ports=1))
KEY = Key(bytes(range(16)))


def test_every_frame_of_every_engine_is_compared(tmp_path: Path) -> None:
    graph = quantised(residual_network((16, 24), 8, tt=True))
    network = compile_network(graph, SYSTEM.engine)
    image = tmp_path / "model.img"
    image.write_bytes(build_image(network, sealer_for(network, KEY)))
    inputs = integer_inputs(graph, np.random.default_rng(1).normal(size=(2, 3, 8, 8)).astype(np.float32))
    job = Job(config=SYSTEM, verilog=generate(SYSTEM), image=image, key=KEY.reveal(), inputs=inputs,
              memory=MemoryTiming(bytes_per_cycle=16), seed=3, cache=default_cache())
    expected = expected_tensors(graph, inputs, [])
    frames = 2 + SYSTEM.engines + FRAMES_PER_ENGINE * SYSTEM.engines
    seen = 0

    def spoil_the_last(tensor: np.ndarray) -> np.ndarray:
        nonlocal seen
        seen += 1
        return flip_result_bit(tensor) if seen == 2 * frames else tensor

    proof, spoilt = (prove(job, expected, graph.output, spoil_the_last) for _ in range(2))
    assert proof.frames == frames
    assert proof.comparison.elements == 10 * frames
    assert proof.comparison.mismatches == 0
    assert spoilt.comparison.mismatches == 1
    assert spoilt.comparison.first.startswith(f"frame {frames - 1},")
    together = proof.together
    assert together is not None
    assert (together.engines, together.frames) == (2, FRAMES_PER_ENGINE * 2)
    steady = proof.counters[1]["cycles"]
    assert steady / 2 < together.cycles / together.frames < steady
    assert len(proof.counters) == 2
