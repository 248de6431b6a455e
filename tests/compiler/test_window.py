"""Golden against emulator on networks whose depthwise convolutions and pools run in the window unit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hwgen.compiler import CompileOptions, compile_network
from hwgen.config.accelerator import WindowUnit
from hwgen.emulator import ContractViolation
from hwgen.isa.layout import Opcode
from tests.helpers.buffers import pack_input
from tests.helpers.emulate import check, config_for, machine_of
from tests.helpers.random_graphs import GraphBuilder, random_graph, random_image, window_count

SIZES = [(8, 8), (8, 16), (16, 16), (16, 32), (32, 64)]


def config_with(size, unit=WindowUnit.DEPTHWISE, **changes):
    return config_for(*size, window=unit, **{"window_width": 64, **changes})


def window_descriptors(network):
    return [d for d in network.descriptors if d.window]


def inverted_residual(builder, src, expand, out, *, stride=1, kernel=(3, 3)):
    """Expand, depthwise, project, with the residual where shapes allow."""
    channels = builder.shape_of(src)[0]
    x = builder.conv(src, expand, (1, 1))
    pad = (kernel[0] // 2, kernel[0] // 2, kernel[1] // 2, kernel[1] // 2)
    x = builder.conv(x, expand, kernel, (stride, stride), padding=pad, groups=expand)
    return builder.conv(x, out, (1, 1), residual=src if stride == 1 and channels == out else None)


def single_window(rng, size=3):
    """One depthwise convolution or pool behind an identity-sized convolution, of a geometry the unit can do."""
    while True:
        kernel = (int(rng.integers(1, size + 1)), int(rng.integers(1, size + 1)))
        stride = (int(rng.integers(1, 4)), int(rng.integers(1, 4)))
        top, left = int(rng.integers(0, kernel[0])), int(rng.integers(0, kernel[1]))
        padding = (top, int(rng.integers(0, kernel[0] - top)), left, int(rng.integers(0, kernel[1] - left)))
        height, width = int(rng.integers(1, 15)), int(rng.integers(4, 15))
        if min(window_count(height, kernel[0], stride[0], padding[:2]),
               window_count(width, kernel[1], stride[1], padding[2:])) >= 1:
            break
    channels = int(rng.integers(1, 70))
    builder = GraphBuilder(rng, (channels, height, width))
    if rng.random() < 0.5:
        builder.conv("input", channels, kernel, stride, padding=padding, groups=channels)
    elif rng.random() < 0.7 or any(padding):
        builder.max_pool("input", kernel, stride, padding)
    else:
        builder.avg_pool("input", kernel, stride)
    if channels == 1:  # not depthwise but dense
        builder.max_pool(builder.nodes[-1].name, (1, 1), (1, 1))
    return builder.graph("single_window")


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("kernel", [3, 5])
def test_single_operations(size, kernel):
    rng = np.random.default_rng([1, kernel, *size])
    used = 0
    for _ in range(12):
        graph = single_window(rng, kernel)
        network = check(graph, config_with(size, window_kernel=kernel), random_image(rng, graph, 2),
                        CompileOptions(fold_input=False))
        used += bool(window_descriptors(network))
    assert used >= 6


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_inverted_residuals(size, seed):
    rng = np.random.default_rng([2, seed, *size])
    builder = GraphBuilder(rng, (3, int(rng.integers(8, 20)), int(rng.integers(8, 20))))
    x = builder.conv("input", 2 * size[0], (3, 3), (2, 2), padding=(1, 1, 1, 1))
    for _ in range(3):
        channels = builder.shape_of(x)[0]
        out = channels if rng.random() < 0.6 else int(rng.integers(4, 40))
        x = inverted_residual(builder, x, int(rng.integers(10, 100)), out, stride=int(rng.integers(1, 3)))
    builder.conv(builder.avg_pool(x), 10, (1, 1), raw=True)
    graph = builder.graph()
    check(graph, config_with(size), random_image(rng, graph, 2))


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("unit", [WindowUnit.POOL, WindowUnit.DEPTHWISE])
@pytest.mark.parametrize("seed", range(4))
def test_graphs(size, unit, seed):
    rng = np.random.default_rng([3, seed, *size])
    graph = random_graph(rng, depth=int(rng.integers(3, 12)))
    check(graph, config_with(size, unit), random_image(rng, graph, 2))


def wide_block(rng, expand=48, size=24):
    builder = GraphBuilder(rng, (8, size, size))
    x = builder.conv("input", 16, (3, 3))
    x = inverted_residual(builder, x, expand, 16)
    builder.conv(builder.avg_pool(x), 10, (1, 1), raw=True)
    return builder.graph()


def test_the_units_take_turns():
    """Expand, window and project are cut, and stand in the program so that both units have work."""
    rng = np.random.default_rng(4)
    graph = wide_block(rng)
    network = check(graph, config_with((8, 16), acc_depth=256), random_image(rng, graph, 2))
    windows = [i for i, d in enumerate(network.descriptors) if d.window]
    assert len(windows) > 1
    between = network.descriptors[windows[0] + 1:windows[-1]]
    assert any(not d.window for d in between)
    first = network.descriptors[windows[0]]
    assert first.wait_progress > 0  # of the array's results
    assert any(d.wait_progress > windows[0] for d in network.descriptors if not d.window)  # project: of the unit's


def test_without_a_unit_the_array_does_the_same():
    rng = np.random.default_rng(5)
    graph = wide_block(rng)
    network = check(graph, config_for(8, 16), random_image(rng, graph))
    assert not window_descriptors(network)


@pytest.mark.parametrize("words", [1024, 640])
def test_small_memories(words):
    """Groups give way where their tensors do not fit side by side, then everything runs in strips."""
    rng = np.random.default_rng(6)
    graph = wide_block(rng, expand=40, size=16)
    config = config_with((8, 16), act_words=words, program_words=1 << 14)
    network = check(graph, config, random_image(rng, graph, 2))
    assert window_descriptors(network)


def test_banks_of_any_size():
    rng = np.random.default_rng(7)
    graph = wide_block(rng)
    config = config_with((8, 16), act_words=5000)
    assert config.act_stride == 8192
    check(graph, config, random_image(rng, graph, 2))


def test_pools_beside_the_array():
    rng = np.random.default_rng(8)
    builder = GraphBuilder(rng, (3, 26, 24))
    x = builder.conv("input", 32, (3, 3))
    x = builder.max_pool(x, (3, 3), (2, 2), (1, 1, 1, 1))
    x = builder.conv(x, 32, (3, 3))
    x = builder.max_pool(x, (2, 2), (2, 2))
    builder.conv(x, 16, (3, 3), (2, 2), padding=(1, 1, 1, 1))
    graph = builder.graph()
    network = check(graph, config_with((8, 16), WindowUnit.POOL), random_image(rng, graph, 2))
    assert {d.opcode for d in window_descriptors(network)} == {Opcode.WINDOW_MAX}


def test_a_missing_wait_is_found():
    """The emulator's order check sees a unit that does not wait for the other."""
    rng = np.random.default_rng(9)
    graph = wide_block(rng)
    network = compile_network(graph, config_with((8, 16)))
    image = pack_input(network.input, random_image(rng, graph)[0])
    machine_of(network).frame(image)
    for chosen in (True, False):
        position = next(i for i, d in enumerate(network.descriptors) if d.window == chosen and d.wait_progress)
        broken = replace(network.descriptors[position], wait_progress=0)
        program = bytearray(network.program)
        at = len(program) - (len(network.descriptors) + 1 - position) * len(broken.encode())
        program[at:at + len(broken.encode())] = broken.encode()
        machine = machine_of(replace(network, runs=(replace(network.runs[0], payload=bytes(program)),
                                                    *network.runs[1:])))
        with pytest.raises(ContractViolation, match="waited for"):
            machine.frame(image)


def test_expand_in_buffers():
    """Where the map between expand and window operation does not fit, its strips come in buffers, halos twice."""
    rng = np.random.default_rng(10)
    graph = wide_block(rng, expand=48, size=24)
    images = random_image(rng, graph, 2)
    expand = next(n.name for n in graph.nodes if n.name == "conv2")
    slots = {}
    for words in (6000, 4600, 4000):
        network = check(graph, config_with((8, 16), act_words=words, acc_depth=256), images)
        assert not network.strips
        slots[words] = sum(d.slots for d in network.descriptors if d.node == expand)
        assert len({d.dst[0] for d in network.descriptors if d.node == expand}) > 1
    assert slots[4000] > slots[4600] > slots[6000]


@pytest.mark.parametrize("size", [(8, 16), (16, 32)], ids=str)
def test_pool_behind_a_convolution_in_strips(size):
    """The input does not fit; the pool takes up the rows of the first convolution strip by strip."""
    rng = np.random.default_rng([11, *size])
    builder = GraphBuilder(rng, (20, 22, 20))
    x = builder.conv("input", 16, (3, 3))
    x = builder.max_pool(x, (3, 3), (2, 2), (1, 1, 1, 1))
    x = builder.conv(x, size[0], (3, 3), (2, 2), padding=(1, 1, 1, 1))
    builder.conv(builder.avg_pool(x), 10, (1, 1), raw=True)
    graph = builder.graph()
    config = config_with(size, WindowUnit.POOL, act_words=1100 if size[0] == 8 else 700, program_words=1 << 14)
    network = check(graph, config, random_image(rng, graph, 2), CompileOptions(fold_input=False))
    assert network.strips
    windows = [i for i, d in enumerate(network.descriptors) if d.window]
    assert len(windows) > 1
    assert any(not d.window for d in network.descriptors[windows[0]:windows[-1]])
