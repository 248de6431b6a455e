"""Different programs one after another on one simulated accelerator, without a reset between them."""

import json
from pathlib import Path

import numpy as np
import pytest

from hwgen.compiler import CompiledNetwork, compile_network
from hwgen.config.accelerator import AcceleratorConfig
from hwgen.golden.execute import run_all
from hwgen.image.sealing import sealer_for
from hwgen.image.writer import build_image
from hwgen.ir.nodes import TTExecution
from hwgen.isa.layout import ComputeFlag, LoadKind
from hwgen.seal import Key
from hwgen_sim.bench import simulator_source
from hwgen_sim.runner import build_simulator, run_cocotb
from rtl_templates.verilog import generate
from tests.helpers.networks import quantised, residual_network
from tests.helpers.random_graphs import GraphBuilder, random_image, small_resnet

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent
KEY = bytes(range(1, 17))
CONFIG = AcceleratorConfig(p_i=8, p_o=16, acc_depth=64, acc_bits=32, act_words=512, line_columns=4, weight_lines=512,
                           program_words=4096, axi_ports=2)
#: network, warm allowed, share of pauses on the bus in 256ths
SCHEDULE = (
    ("resident", True, 0), ("resident", True, 0),
    ("spilled", True, 0), ("spilled", True, 60), ("spilled", False, 0),
    ("resident", True, 0), ("resident", True, 60), ("resident", False, 0), ("resident", True, 0),
    ("contracted", True, 60), ("contracted", True, 0),
    ("spilled", True, 0),
    ("contracted", False, 0),
    ("resident", True, 0), ("resident", True, 0),
)


def make_files(folder: Path) -> tuple[dict[str, CompiledNetwork], dict[str, np.ndarray]]:
    """Images and frames of the three networks; returns what was compiled and the expected outputs."""
    rng = np.random.default_rng(31)
    builder = GraphBuilder(rng, (3, 21, 21))
    x = builder.conv("input", 16, (5, 5), padding=(2, 2, 2, 2))
    x = builder.max_pool(x, (3, 3), (1, 1), (1, 1, 1, 1))
    y = builder.conv(x, 40, (3, 3), (2, 2), padding=(1, 1, 1, 1))
    x = builder.conv(y, 40, (3, 3), residual=y)
    builder.conv(x, 16, (1, 1), raw=True)
    graphs = {
        "resident": small_resnet(rng, (16,), 8),
        "spilled": builder.graph("spilled"),
        "contracted": quantised(residual_network((16, 24), 8, tt=True), execution=TTExecution.RECONSTRUCT),
    }
    compiled, expected = {}, {}
    for number, (name, graph) in enumerate(graphs.items()):
        frames = random_image(rng, graph, len(SCHEDULE))
        np.save(folder / f"{name}.npy", frames)
        expected[name] = run_all(graph, frames)[graph.output]
        network = compiled[name] = compile_network(graph, CONFIG)
        (folder / f"{name}.img").write_bytes(build_image(network, sealer_for(network, Key(KEY), number)))
    return compiled, expected


def test_programs_without_reset(tmp_path: Path) -> None:
    compiled, expected = make_files(tmp_path)
    assert compiled["resident"].resident and not compiled["resident"].spilled_bytes
    assert compiled["spilled"].spilled_bytes and not compiled["spilled"].resident
    assert any(ComputeFlag.TO_WEIGHTS in d.flags for d in compiled["contracted"].descriptors)
    assert len({network.input for network in compiled.values()}) == 3  # three layouts
    (tmp_path / "schedule.json").write_text(json.dumps([
        {"network": name, "frame": number, "warm": warm, "stall": stall}
        for number, (name, warm, stall) in enumerate(SCHEDULE)]))
    simulator = build_simulator(simulator_source(CONFIG, generate(CONFIG)))
    run_cocotb(simulator, "programs_cocotb", tmp_path / "run", python_path=[HERE], seed=5,
               plusargs=[f"+exchange={tmp_path}"],
               settings={"PROGRAMS_FILES": str(tmp_path), "PROGRAMS_KEY": KEY.hex()})
    results = json.loads((tmp_path / "results.json").read_text())
    for number, (name, _, _) in enumerate(SCHEDULE):
        output, wanted = np.load(tmp_path / f"output_{number}.npy"), expected[name][number]
        assert np.array_equal(output.reshape(wanted.shape), wanted), f"frame {number}, {name}"
    # a frame is warm if it may be and follows one of the same network
    for number, (name, warm, _) in enumerate(SCHEDULE):
        follows = number > 0 and SCHEDULE[number - 1][0] == name
        assert results[number]["warm"] == (warm and follows), f"frame {number}, {name}"
    # warm frames of the resident network fetch no weight
    weights = sum(-(-len(run.payload) // 16) for run in compiled["resident"].runs if run.kind == LoadKind.WEIGHTS)
    beats = {(r["warm"], r["read_beats"]) for r, (name, _, _) in zip(results, SCHEDULE, strict=True)
             if name == "resident"}
    assert len(beats) == 2 and dict(beats)[False] - dict(beats)[True] >= weights > 0
