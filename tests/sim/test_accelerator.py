"""The whole accelerator: frames, wrong tags, bus errors, resets in mid-frame, through the shipped driver."""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest

from hwgen.compiler import compile_network
from hwgen.compiler.options import CompileOptions
from hwgen.config.accelerator import AcceleratorConfig
from hwgen.golden.execute import run_all
from hwgen.image.sealing import sealer_for
from hwgen.image.writer import build_image
from hwgen.seal import Key, select_encrypted
from hwgen_sim.bench import simulator_source
from hwgen_sim.runner import build_simulator, run_cocotb
from rtl_templates.verilog import generate
from tests.helpers.attacks import attacks
from tests.helpers.random_graphs import random_image, small_resnet
from tests.helpers.zeroised import watched

HERE = Path(__file__).parent
KEY = bytes(range(1, 17))
CONFIG = AcceleratorConfig(p_i=8, p_o=16, acc_depth=64, acc_bits=32, act_words=2048, line_columns=4, weight_lines=4096,
                           program_words=1024, axi_ports=2)


#: modules whose memories hold what was decrypted, or the key stream
SECRETS = ("hwgen_accelerator.engine.weights.lines", "hwgen_accelerator.program.memory",
           *(f"hwgen_accelerator.engine.activations.bank{bank}_{half}" for bank in (0, 1) for half in ("even", "odd")),
           "hwgen_load_channel.unit.core.keystream", "hwgen_load_channel.unit.core.ghash")


def make_files(folder: Path, config: AcceleratorConfig, share: str) -> None:
    """Images of which a share of the weights' bytes is encrypted, good and bad; frames and expected outputs."""
    rng = np.random.default_rng(11)
    graph = small_resnet(rng, (16,), 8)
    frames = random_image(rng, graph, 2)
    np.save(folder / "frames.npy", frames)
    np.save(folder / "expected.npy", run_all(graph, frames)[graph.output])
    network = compile_network(graph, config)
    if share != "all":
        secret = select_encrypted(share, network.layer_bytes)
        network = compile_network(graph, config, CompileOptions(encrypt=frozenset(secret), encrypt_program=False))
        assert 0 < network.bytes_encrypted < sum(len(run.payload) for run in network.runs)
    good = build_image(network, sealer_for(network, Key(KEY), 5))
    (folder / "good.img").write_bytes(good)
    (folder / "second.img").write_bytes(build_image(network, sealer_for(network, Key(KEY), 6)))
    program = bytearray(network.program)
    program[9] ^= 0x40  # isa_version
    other = dataclasses.replace(network.runs[0], payload=bytes(program))
    changed = dataclasses.replace(network, runs=(other, *network.runs[1:]))
    (folder / "other_isa.img").write_bytes(build_image(changed, sealer_for(changed, Key(KEY), 5)))
    others = {"earlier": build_image(network, sealer_for(network, Key(KEY), 4)),
              "later": (folder / "second.img").read_bytes()}
    expected = {}
    for number, attack in enumerate(attacks(network, good, others)):
        (folder / f"attack_{number}.img").write_bytes(attack.image)
        expected[f"attack_{number}"] = [attack.name, sorted(attack.segments)]
    (folder / "attacks.json").write_text(json.dumps(expected))


@pytest.mark.slow
@pytest.mark.parametrize(("aes_cycles", "share"), [(1, "all"), (3, "40%")])
def test_accelerator(aes_cycles: int, share: str, tmp_path: Path) -> None:
    config = CONFIG.replace(aes_cycles=aes_cycles)
    make_files(tmp_path, config, share)
    simulator = build_simulator(simulator_source(config, watched(generate(config), "|".join(map(re.escape, SECRETS)))))
    run_cocotb(simulator, "accelerator_cocotb", tmp_path / "run", python_path=[HERE], seed=3,
               plusargs=[f"+exchange={tmp_path}"],
               settings={"ACCELERATOR_FILES": str(tmp_path), "ACCELERATOR_KEY": KEY.hex()})
