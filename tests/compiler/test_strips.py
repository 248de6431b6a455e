"""Networks whose feature maps do not fit on the chip: strips, spilled tensors, streamed input and output."""

from __future__ import annotations

import numpy as np
import pytest

from hwgen.compiler import CompileOptions, compile_network
from hwgen.compiler.lower import lower
from hwgen.compiler.strips import even_strips, source_rows
from hwgen.cost.memory import MemoryModel
from hwgen.cost.timeline import predict
from hwgen.emulator.decode import decode_program
from hwgen.errors import HwgenError
from hwgen.isa.layout import LoadFlag, LoadKind
from tests.helpers.emulate import check, config_for
from tests.helpers.random_graphs import GraphBuilder, random_graph, random_image, small_resnet

SIZES = [(8, 8), (8, 16), (16, 16), (16, 32), (32, 64)]


def _tiny(size, words, **changes):
    return config_for(*size, act_words=words, program_words=1 << 16, **changes)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("seed", range(5))
def test_graphs(size, seed):
    """The memory shrinks as far as the compiler can follow; every step is bit-exact."""
    rng = np.random.default_rng([31, seed, *size])
    graph = random_graph(rng, depth=int(rng.integers(3, 9)), largest=16)
    images = random_image(rng, graph, 2)
    words = 1024
    while words >= 64:
        try:
            check(graph, _tiny(size, words), images)
        except HwgenError as error:
            assert "activation memory" in str(error)
            break
        words //= 2


@pytest.mark.parametrize(("size", "words"), [((8, 16), 256), ((16, 32), 128), ((16, 32), 256)], ids=str)
def test_residual_network(size, words):
    rng = np.random.default_rng(32)
    graph = small_resnet(rng, (16, 32, 32), 22)
    network = check(graph, _tiny(size, words), random_image(rng, graph, 2))
    assert network.strips and network.scratch_bytes > 0 and network.spilled_bytes >= 2 * network.scratch_bytes


def test_every_layer_can_be_stored():
    rng = np.random.default_rng(33)
    graph = random_graph(rng, depth=8)
    network = check(graph, _tiny((16, 32), 256), random_image(rng, graph), CompileOptions(debug_dump=True))
    assert network.strips and len(network.dumps) >= 7


def test_weights_come_again_but_are_stored_once():
    """A ring far smaller than a layer: strips outside, the same segments fetched for each of them."""
    rng = np.random.default_rng(34)
    builder = GraphBuilder(rng, (16, 40, 40))
    x = builder.conv("input", 32, (3, 3))
    for _ in range(2):
        x = builder.conv(x, 32, (3, 3))
    graph = builder.graph()
    network = check(graph, _tiny((8, 16), 1024, weight_lines=340, acc_depth=256), random_image(rng, graph))
    loads = [d for d in decode_program(network.program).loads if d["kind"] == LoadKind.WEIGHTS]
    assert len({d["offset"] for d in loads}) < len(loads)
    assert sum(len(run.payload) for run in network.runs[1:]) < network.stream_lines * network.config.line_bytes
    assert sum(network.layer_bytes.values()) == sum(len(run.payload) for run in network.runs[1:])


def test_input_and_output_are_streamed():
    rng = np.random.default_rng(35)
    builder = GraphBuilder(rng, (3, 30, 30))
    builder.conv("input", 8, (3, 3))
    graph = builder.graph()
    network = check(graph, _tiny((8, 16), 128), random_image(rng, graph, 2))
    loads = decode_program(network.program).loads
    assert sum(d["kind"] == LoadKind.INPUT for d in loads) > 2
    assert not any(d["flags"] >> LoadFlag.SCRATCH & 1 for d in loads)
    assert network.scratch_bytes == 0


def test_what_fits_does_not_change():
    rng = np.random.default_rng(36)
    network = compile_network(small_resnet(rng, (16, 32), 12), config_for(16, 32))
    program = decode_program(network.program)
    assert not network.strips and network.scratch_bytes == 0
    assert all(d["wait_store"] == 0 for d in program.computes)
    assert not any(d["flags"] >> LoadFlag.SCRATCH & 1 for d in program.loads)
    assert not any(d["scratch"] or d["last_plane"] for d in program.stores)


def test_rows_of_a_strip():
    rng = np.random.default_rng(37)
    builder = GraphBuilder(rng, (8, 20, 9))
    builder.conv("input", 8, (5, 3), (2, 1), padding=(2, 2, 1, 1))
    network = compile_network(builder.graph(), config_for(8, 16))
    assert network.output.height == 10
    lowered = lower(builder.graph(), config_for(8, 16), None, True)
    op, src = lowered.operations[0], lowered.tensors["input"]
    assert source_rows(op, src, (0, 1)) == (0, 3)
    assert source_rows(op, src, (3, 5)) == (4, 11)
    assert source_rows(op, src, (8, 10)) == (14, 20)
    assert even_strips(10, 3, 1) == ((0, 4), (4, 8), (8, 10))
    assert even_strips(10, 3, 2) == ((0, 4), (4, 8), (8, 10))
    assert even_strips(9, 9, 2) == ((0, 2), (2, 4), (4, 6), (6, 8), (8, 9))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100))
def test_many(seed):
    rng = np.random.default_rng([38, seed])
    size = SIZES[seed % len(SIZES)]
    graph = random_graph(rng, depth=int(rng.integers(3, 12)), largest=24, reconstruct=seed % 4 == 0)
    config = _tiny(size, int(rng.choice([256, 512, 1024])), acc_depth=int(rng.choice([16, 32, 64])),
                   weight_lines=int(rng.choice([1024, 4096])))
    try:
        check(graph, config, random_image(rng, graph, 2), CompileOptions(debug_dump=seed % 5 == 0))
    except HwgenError as error:
        assert "memory" in str(error)


def test_weights_behind_the_strip_that_they_would_keep_from_coming():
    """A strip that is a whole map, and more weights than the ring holds for the one descriptor that reads it."""
    builder = GraphBuilder(np.random.default_rng(38), (128, 14, 14))
    skip = builder.conv("input", 256, (1, 1), (2, 2), padding=(0, 0, 0, 0))
    x = builder.conv("input", 256, (3, 3), (2, 2), padding=(1, 1, 1, 1))
    x = builder.conv(x, 256, (3, 3), residual=skip)
    y = builder.conv(x, 256, (3, 3))
    y = builder.avg_pool(builder.conv(y, 256, (3, 3), residual=x))
    builder.conv(y, 16, (1, 1), raw=True)
    config = _tiny((8, 8), 2048, weight_lines=1024, line_columns=2, acc_depth=512)
    network = compile_network(builder.graph(), config)
    alone = [d for d in network.descriptors if d.lines * d.blocks > network.ring_lines and d.wait_act]
    assert network.strips and alone
    assert predict(network, MemoryModel(bytes_per_cycle=40, latency=100)).steady.cycles > network.issue_cycles
