"""Golden against emulator on random layers and graphs, for every array size: the compiler's main test."""

from __future__ import annotations

import numpy as np
import pytest

from hwgen.compiler import CompileOptions
from tests.helpers.emulate import check, config_for
from tests.helpers.random_graphs import random_graph, random_image, single_conv, small_resnet

SIZES = [(8, 8), (8, 16), (16, 16), (16, 32), (32, 64)]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("seed", range(6))
def test_single_convolutions(size, seed):
    rng = np.random.default_rng([1, seed, *size])
    for _ in range(3):
        graph = single_conv(rng)
        check(graph, config_for(*size), random_image(rng, graph))


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("seed", range(5))
def test_graphs(size, seed):
    rng = np.random.default_rng([2, seed, *size])
    graph = random_graph(rng, depth=int(rng.integers(2, 10)))
    check(graph, config_for(*size), random_image(rng, graph, 2))


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_reconstructed_kernels(size, seed):
    rng = np.random.default_rng([3, seed, *size])
    graph = random_graph(rng, depth=5, reconstruct=True)
    check(graph, config_for(*size), random_image(rng, graph, 2))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_small_memories(size):
    """Rings that wrap, tiny accumulators: row tiles and column tiles, groups of output blocks."""
    rng = np.random.default_rng([4, *size])
    config = config_for(*size, acc_depth=16, weight_lines=max(64, 4 * size[1]) + 2)
    done = 0
    while done < 4:
        graph = single_conv(rng, largest=20, most_channels=24)
        kernel = graph.nodes[1].weight.shape[2:]
        if kernel[0] * kernel[1] <= 6:
            check(graph, config, random_image(rng, graph, 2))
            done += 1


@pytest.mark.parametrize("rank", [0, 12])
def test_residual_network(rank):
    rng = np.random.default_rng(5)
    graph = small_resnet(rng, (16, 32), 12, chain_rank=rank)
    check(graph, config_for(16, 32), random_image(rng, graph, 2))


def test_debug_dump_stores_every_tensor():
    rng = np.random.default_rng(6)
    graph = random_graph(rng, depth=8)
    config = config_for(16, 32, act_words=16384)
    network = check(graph, config, random_image(rng, graph), CompileOptions(debug_dump=True))
    assert len(network.dumps) >= 7


@pytest.mark.parametrize("options", [
    CompileOptions(fold_input=False), CompileOptions(pair=False), CompileOptions(encrypt=frozenset()),
    CompileOptions(segment_log2=7, ramp=()),
], ids=["plain input", "no pairs", "nothing encrypted", "small segments"])
def test_options(options):
    rng = np.random.default_rng(7)
    graph = small_resnet(rng, (16, 24), 8)
    check(graph, config_for(8, 16), random_image(rng, graph, 2), options)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(60))
def test_many(seed):
    rng = np.random.default_rng([8, seed])
    size = SIZES[seed % len(SIZES)]
    graph = random_graph(rng, depth=int(rng.integers(4, 16)), largest=24, most_channels=150, reconstruct=seed % 2 == 0)
    check(graph, config_for(*size, acc_depth=128, act_words=1 << 16, weight_lines=1 << 15), random_image(rng, graph, 2))
