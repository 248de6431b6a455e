"""Compiled random graphs on the simulated engine itself: compiler, hardware and golden model agree word for word."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hwgen.compiler import compile_network
from hwgen.config.accelerator import AcceleratorConfig
from hwgen.emulator.decode import decode_program
from hwgen.golden.execute import run as golden
from hwgen.isa.layout import LoadKind
from tests.helpers.bare_engine import END, build, run
from tests.helpers.buffers import pack_input, unpack_output
from tests.helpers.random_graphs import random_graph, random_image

CONFIG = AcceleratorConfig(p_i=8, p_o=16, act_words=4096, weight_lines=8192, acc_depth=64, acc_bits=28)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def simulator():
    return build(CONFIG)


def _job(network, image):
    """Everything preloaded: input, first cores, the whole weight stream; descriptors need not wait for loads."""
    words, lines = {}, []

    def put(base, data):
        for i in range(len(data) // CONFIG.p_i):
            words[base + i] = data[i * CONFIG.p_i:(i + 1) * CONFIG.p_i].hex()

    program, buffer = decode_program(network.program), pack_input(network.input, image)
    for load in program.loads:
        if load["kind"] == LoadKind.INPUT:
            put(load["dest"], buffer[16 * load["offset"]:16 * (load["offset"] + load["beats"])])
    for part in network.runs[1:]:
        if part.kind == LoadKind.ACTIVATIONS:
            put(part.dest, part.payload)
        else:
            size = CONFIG.line_bytes
            lines += [part.payload[i:i + size].hex() for i in range(0, len(part.payload), size)]
    store = program.stores[-1]
    return {
        "activations": words, "weights": dict(enumerate(lines)), "load_gap": 0.0,
        "descriptors": [dataclasses.replace(d, wait_act=0).encode().hex() for d in network.descriptors] + [END.hex()],
        "reads": list(range(store["src"], store["src"] + store["words"])),
    }


@pytest.mark.parametrize("seed", range(8))
def test_graph(simulator, tmp_path, seed):
    rng = np.random.default_rng([9, seed])
    graph = random_graph(rng, int(rng.integers(2, 8)), 8, 24, reconstruct=seed % 2 == 1)
    network = compile_network(graph, CONFIG)
    assert network.stream_lines <= network.ring_lines
    images = random_image(rng, graph)
    job = _job(network, images[0])
    result = run(simulator, tmp_path, [job], ring_lines=network.ring_lines)
    data = b"".join(bytes.fromhex(result["words"][str(address)]) for address in job["reads"])
    got = unpack_output(network.output, data)
    assert np.array_equal(got, golden(graph, images)[0].reshape(got.shape))
    assert result["counters"]["busy"] == sum(d.slots for d in network.descriptors)
