"""Whole small networks on the simulated hardware: bit-exact, and every planted fault is found."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hwgen.compiler.compile import compile_network
from hwgen.compiler.result import CompiledNetwork
from hwgen.config.accelerator import AcceleratorConfig
from hwgen.errors import HwgenError
from hwgen.image.sealing import sealer_for
from hwgen.image.writer import build_image
from hwgen.ir.nodes import TTExecution
from hwgen.isa.layout import ComputeFlag
from hwgen.pipeline.build import default_cache
from hwgen.seal import Key
from hwgen.verify.expected import expected_tensors, integer_inputs
from hwgen.verify.mutate import flip_descriptor_bit, flip_result_bit, flip_weight_bit, tamper
from hwgen.verify.proof import Job, Proof, prove
from hwgen_sim.simulate import MemoryTiming
from rtl_templates.verilog import generate
from tests.helpers.networks import quantised, residual_network

pytestmark = pytest.mark.slow
CONFIG = AcceleratorConfig(p_i=8, p_o=16, acc_depth=128, act_words=1024, weight_lines=1024, axi_ports=1,
                           program_words=512)
KEY = Key(bytes(range(16)))


class Bench:
    """One network, its image, and proofs of changed versions of it; one simulator for all."""

    def __init__(self, folder: Path, execution: TTExecution = TTExecution.CHAIN) -> None:
        self.folder = folder
        self.graph = quantised(residual_network((16, 24), 8, tt=True), execution=execution)
        self.network = compile_network(self.graph, CONFIG)
        pixels = np.random.default_rng(1).normal(size=(2, 3, 8, 8)).astype(np.float32)
        self.inputs = integer_inputs(self.graph, pixels)
        self.expected = expected_tensors(self.graph, self.inputs, [])
        self.verilog = generate(CONFIG)

    def image(self, network: CompiledNetwork, key: Key = KEY) -> bytes:
        return build_image(network, sealer_for(network, key))

    def run(self, image: bytes, key: Key = KEY, spoil: Callable[[np.ndarray], np.ndarray] = lambda t: t) -> Proof:
        path = self.folder / "model.img"
        path.write_bytes(image)
        job = Job(config=CONFIG, verilog=self.verilog, image=path, key=key.reveal(), inputs=self.inputs,
                  memory=MemoryTiming(bytes_per_cycle=16), seed=3, cache=default_cache())
        return prove(job, self.expected, self.graph.output, spoil)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("simulated"))


def test_bit_exact(bench: Bench) -> None:
    proof = bench.run(bench.image(bench.network))
    assert proof.comparison.mismatches == 0
    assert proof.comparison.elements == 20
    assert proof.counters[1]["cycles"] < proof.counters[0]["cycles"]


def test_kernels_reconstructed_on_the_chip_are_bit_exact(tmp_path: Path) -> None:
    bench = Bench(tmp_path, TTExecution.RECONSTRUCT)
    layers = {d.node for d in bench.network.descriptors if ComputeFlag.TO_WEIGHTS in d.flags}
    assert len(layers) == 4  # every tensor-train layer
    proof = bench.run(bench.image(bench.network))
    assert proof.comparison.mismatches == 0
    assert proof.comparison.elements == 20


def test_one_weight_bit_is_found(bench: Bench) -> None:
    assert bench.run(bench.image(flip_weight_bit(bench.network))).comparison.mismatches > 0


def test_one_descriptor_bit_is_found(bench: Bench) -> None:
    assert bench.run(bench.image(flip_descriptor_bit(bench.network, 1))).comparison.mismatches > 0


def test_one_result_bit_is_found(bench: Bench) -> None:
    assert bench.run(bench.image(bench.network), spoil=flip_result_bit).comparison.mismatches == 2


def test_an_image_of_zeros_is_found(bench: Bench) -> None:
    runs = tuple(r if n == 0 else dataclasses.replace(r, payload=bytes(len(r.payload)))
                 for n, r in enumerate(bench.network.runs))
    empty = dataclasses.replace(bench.network, runs=runs)
    assert bench.run(bench.image(empty)).comparison.mismatches > 0


def test_a_changed_stored_bit_is_refused_by_the_hardware(bench: Bench) -> None:
    image = bench.image(bench.network)
    with pytest.raises(HwgenError) as error:
        bench.run(tamper(image, -400))
    assert error.value.exit_code == 5
    assert "TAG" in str(error.value)
    assert "no output was written" in str(error.value)


def test_a_wrong_key_is_refused_by_the_hardware(bench: Bench) -> None:
    with pytest.raises(HwgenError) as error:
        bench.run(bench.image(bench.network), key=Key(bytes(16)))
    assert error.value.exit_code == 5
    assert "no output was written" in str(error.value)
