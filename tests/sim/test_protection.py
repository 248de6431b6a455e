"""The whole accelerator on a network whose feature maps are spilled, encrypted and authenticated."""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest

from hwgen.compiler import CompiledNetwork
from hwgen.config.accelerator import AcceleratorConfig
from hwgen.cost.memory import MemoryModel
from hwgen.cost.timeline import predict
from hwgen.golden.execute import run_all
from hwgen.image.sealing import sealer_for
from hwgen.image.writer import build_image
from hwgen.ir.nodes import Graph
from hwgen.seal import Key
from hwgen_sim.bench import simulator_source
from hwgen_sim.runner import build_simulator, run_cocotb
from rtl_templates.verilog import generate
from tests.helpers.buffers import pack_input
from tests.helpers.emulate import check, machine_of
from tests.helpers.random_graphs import GraphBuilder, random_image
from tests.helpers.zeroised import watched
from tests.sim.test_accelerator import SECRETS

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent
KEY = bytes(range(1, 17))
CONFIG = AcceleratorConfig(p_i=8, p_o=8, acc_depth=32, acc_bits=24, act_words=64, line_columns=4, weight_lines=256,
                           program_words=512, axi_ports=1, aes_cycles=10, protect_activations=True, spill_aes_cycles=10)
#: modules whose memories must be zero behind an error: key streams and hashes of the units of both kinds besides
UNITS = tuple(f"{unit}.core.{part}" for part in ("keystream", "ghash") for unit in (
    "hwgen_load_channel.unit.image", "hwgen_load_channel.unit.rows", "hwgen_accelerator.sealer.unit"))


def network(rng: np.random.Generator) -> Graph:
    """Rows of odd widths, halos, a residual from the scratch buffer."""
    builder = GraphBuilder(rng, (3, 7, 7))
    x = builder.conv("input", 16, (3, 3), padding=(1, 1, 1, 1))
    y = builder.conv(x, 16, (3, 3), padding=(1, 1, 1, 1))
    x = builder.conv(y, 16, (3, 3), padding=(1, 1, 1, 1), residual=x)
    builder.conv(x, 8, (1, 1), (3, 3))
    return builder.graph("protected")


def rows_of(compiled: CompiledNetwork) -> list[tuple[int, int]]:
    """Place and beats of every row in the order of the stores."""
    rows: list[tuple[int, int]] = []
    for store in machine_of(compiled).program.stores:
        beats = -(-store["row_words"] * compiled.config.p_i // 16)
        for plane in range(store["last_plane"] + 1 if store["row_words"] else 0):
            first = store["offset"] + plane * store["offset_step"]
            rows += [(at, beats) for at in range(first, first + store["stored_beats"], beats + 1)]
    return rows


def make_files(folder: Path, config: AcceleratorConfig) -> CompiledNetwork:
    """The network; image, frames, expected outputs, plaintext of the scratch buffer behind each frame."""
    rng = np.random.default_rng(51)
    graph = network(rng)
    frames = random_image(rng, graph, 2)
    compiled = check(graph, config, frames)  # in the emulator first
    rows = rows_of(compiled)
    assert len(rows) > 20 and any(store["row_words"] % 2 for store in machine_of(compiled).program.stores)
    np.save(folder / "frames.npy", frames)
    np.save(folder / "expected.npy", run_all(graph, frames)[graph.output])
    machine, plain = machine_of(compiled), []
    for frame in frames:
        plain.append(np.frombuffer(machine.frame(pack_input(compiled.input, frame)).scratch, np.uint8))
    np.save(folder / "scratch.npy", np.stack(plain))
    (folder / "rows.json").write_text(json.dumps(rows))
    (folder / "good.img").write_bytes(build_image(compiled, sealer_for(compiled, Key(KEY), 5)))
    return compiled


def test_protected_feature_maps(tmp_path: Path) -> None:
    compiled = make_files(tmp_path, CONFIG)
    memories = (*(name for name in SECRETS if not name.startswith("hwgen_load_channel.unit")), *UNITS)
    verilog = generate(CONFIG)
    for module in memories:
        verilog = watched(verilog, re.escape(module))
    source = dataclasses.replace(simulator_source(CONFIG, verilog), optimise=False)
    run_cocotb(build_simulator(source), "protection_cocotb", tmp_path / "run", python_path=[HERE], seed=4,
               plusargs=[f"+exchange={tmp_path}"],
               settings={"PROTECTION_FILES": str(tmp_path), "PROTECTION_KEY": KEY.hex()})
    predicted = predict(compiled, MemoryModel(bytes_per_cycle=40, latency=100))
    for measured, found in zip(json.loads((tmp_path / "cycles.json").read_text()),
                               (predicted.cold.cycles, predicted.steady.cycles), strict=True):
        assert abs(found / measured - 1) < 0.03
