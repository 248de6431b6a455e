"""Two engines in one design: different frames and different images at once, errors that stay where they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwgen.compiler import compile_network
from hwgen.config.accelerator import AcceleratorConfig
from hwgen.config.system import SystemConfig
from hwgen.golden.execute import run_all
from hwgen.image.sealing import sealer_for
from hwgen.image.writer import build_image
from hwgen.seal import Key
from hwgen.verify.mutate import tamper
from hwgen_sim.bench import simulator_source
from hwgen_sim.runner import build_simulator, run_cocotb
from hwgen_sim.simulate import MemoryTiming, run_job
from rtl_templates.verilog import generate
from tests.helpers.random_graphs import random_image, small_resnet

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent
KEY, OTHER_KEY = bytes(range(1, 17)), bytes(range(50, 66))
ENGINE = AcceleratorConfig(p_i=8, p_o=16, acc_depth=64, acc_bits=32, act_words=2048, line_columns=4, weight_lines=4096,
                           program_words=1024, axi_ports=1)
CONFIG = SystemConfig(engine=ENGINE, engines=2)


@pytest.fixture(scope="module")
def verilog() -> str:
    return generate(CONFIG)


def test_frames_on_both_engines_at_once(tmp_path: Path, verilog: str) -> None:
    rng = np.random.default_rng(11)
    graph = small_resnet(rng, (16,), 8)
    frames = random_image(rng, graph, 9)
    expected = run_all(graph, frames)[graph.output]
    network = compile_network(graph, ENGINE)
    image = tmp_path / "model.img"
    image.write_bytes(build_image(network, sealer_for(network, Key(KEY))))
    result = run_job(CONFIG, image, list(frames[:2]), rounds=[list(frames[2:4]), list(frames[4:])], key=KEY,
                     verilog=verilog, memory=MemoryTiming(bytes_per_cycle=16, stall=0.1), seed=3)
    outcomes = [*result.frames, *(frame for one in result.rounds for frame in one.frames)]
    assert len(outcomes) == 9
    for outcome, want in zip(outcomes, expected, strict=True):
        assert outcome.error == 0
        assert outcome.output is not None
        assert np.array_equal(outcome.output.reshape(want.shape), want)
    first, steady = (one.counters["cycles"] for one in result.frames)
    assert steady < first
    cold, warm = result.rounds
    # the first engine has run before, the second has not; then both have
    assert sorted(frame.warm for frame in cold.frames) == [False, True]
    assert all(frame.warm for frame in warm.frames)
    # five frames on two engines are three one after the other, and what the engines did adds up to more than passed
    assert 2 * steady < warm.cycles < 4 * steady
    assert sum(frame.counters["cycles"] for frame in warm.frames) > 1.4 * warm.cycles


def test_engines_do_not_disturb_each_other(tmp_path: Path, verilog: str) -> None:
    rng = np.random.default_rng(12)
    for name, key in (("one", KEY), ("two", OTHER_KEY)):
        graph = small_resnet(rng, (16,) if name == "one" else (24,), 8)
        frames = random_image(rng, graph, 2)
        np.save(tmp_path / f"{name}_frames.npy", frames)
        np.save(tmp_path / f"{name}_expected.npy", run_all(graph, frames)[graph.output])
        network = compile_network(graph, ENGINE)
        image = build_image(network, sealer_for(network, Key(key)))
        (tmp_path / f"{name}.img").write_bytes(image)
        (tmp_path / f"{name}_damaged.img").write_bytes(tamper(image, -400))
    run_cocotb(build_simulator(simulator_source(CONFIG, verilog)), "system_cocotb", tmp_path / "run",
               python_path=[HERE], seed=5, plusargs=[f"+exchange={tmp_path}"],
               settings={"SYSTEM_FILES": str(tmp_path), "SYSTEM_KEYS": f"{KEY.hex()} {OTHER_KEY.hex()}"})
