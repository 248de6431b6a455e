"""The order that is fastest changes with the ranks in the hardware too, and every order is bit-exact."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from benchmarks.one_layer import Point, analytic, quantised_layer
from hwgen.compiler.compile import compile_network
from hwgen.config.accelerator import AcceleratorConfig
from hwgen.image.sealing import sealer_for
from hwgen.image.writer import build_image
from hwgen.pipeline.build import default_cache
from hwgen.seal import Key
from hwgen.verify.expected import expected_tensors, integer_inputs
from hwgen.verify.proof import Job, prove
from hwgen_sim.simulate import MemoryTiming
from rtl_templates.verilog import generate

pytestmark = pytest.mark.slow
CONFIG = AcceleratorConfig(p_i=8, p_o=16, acc_depth=128, act_words=16384, weight_lines=1024, axi_ports=1,
                           program_words=1024)
KEY = Key(bytes(range(16)))


def cycles(point: Point, order: str, folder: Path, config: AcceleratorConfig = CONFIG) -> int:
    """Of a cold frame in simulation; every output bit is compared."""
    graph = quantised_layer(point, analytic(point, config)[order][0])
    network = compile_network(graph, config)
    pixels = np.random.default_rng(1).normal(size=(1, *graph.input_node().shape)).astype(np.float32)
    inputs = integer_inputs(graph, pixels)
    image = folder / "model.img"
    image.write_bytes(build_image(network, sealer_for(network, KEY)))
    job = Job(config=config, verilog=generate(config), image=image, key=KEY.reveal(), inputs=inputs, seed=2,
              memory=MemoryTiming(bytes_per_cycle=Fraction(point.bytes_per_cycle)), cache=default_cache())
    proof = prove(job, expected_tensors(graph, inputs, []), graph.output)
    assert proof.comparison.mismatches == 0 and proof.comparison.elements > 0
    return proof.counters[0]["cycles"]


@pytest.mark.parametrize(("ranks", "fastest"), [((8, 16), "I|HW|O"), ((16, 16), "I·HW|O")])
def test_both_sides_of_the_crossover(ranks: tuple[int, int], fastest: str, tmp_path: Path) -> None:
    point = Point(channels_in=32, channels_out=32, ranks=ranks, size=32, kernel=4, stride=4, bytes_per_cycle=8)
    orders = ("I|HW|O", "I·HW|O", "I+HW|O")
    predicted = analytic(point, CONFIG)
    measured = {order: cycles(point, order, tmp_path) for order in orders}
    assert min(measured, key=lambda o: measured[o]) == fastest
    assert min(orders, key=lambda o: predicted[o][1]) == fastest


def test_a_kernel_made_on_the_chip_is_fastest_where_memory_is_slow(tmp_path: Path) -> None:
    point = Point(channels_in=64, channels_out=64, ranks=(32, 32), size=8, stride=2, bytes_per_cycle=2)
    orders = ("I|HW|O", "I·HW·O", "I+HW+O")
    config = AcceleratorConfig(act_words=4096, program_words=1024)
    measured = {order: cycles(point, order, tmp_path, config) for order in orders}
    assert min(measured, key=lambda o: measured[o]) == "I+HW+O"
