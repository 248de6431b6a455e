"""Properties of the schedule: shapes, hazards, residency, encryption by node."""

from __future__ import annotations

import numpy as np
import pytest

from hwgen.compiler import CompileOptions, compile_network
from hwgen.config.accelerator import AcceleratorConfig
from hwgen.emulator import ContractViolation
from hwgen.isa.layout import COMPUTE_FIELDS, ComputeFlag, LoadFlag, LoadKind, decode, encode
from tests.helpers.buffers import pack_input
from tests.helpers.emulate import check, config_for, machine_of
from tests.helpers.random_graphs import GraphBuilder, random_image, small_resnet


def _one_conv(out: int, size: int = 8, kernel: int = 3, stride: int = 1, channels: int = 32):
    builder = GraphBuilder(np.random.default_rng(1), (channels, size, size))
    builder.conv("input", out, (kernel, kernel), (stride, stride))
    return builder.graph()


def _shapes(graph, config):
    return [("pair" if ComputeFlag.PAIR in d.flags else "normal", d.blocks)
            for d in compile_network(graph, config).descriptors]


def test_narrow_layers_take_the_pair_shape():
    config = config_for(16, 32, acc_depth=512)
    assert _shapes(_one_conv(16), config) == [("pair", 1)]
    assert _shapes(_one_conv(16, stride=2), config) == [("normal", 1)]
    assert _shapes(_one_conv(48, size=7), config) == [("normal", 1), ("pair", 1)]


def test_dense_layers_use_every_slot():
    config = AcceleratorConfig(acc_bits=29)
    network = compile_network(small_resnet(np.random.default_rng(2), (64, 128, 256, 512), 32, blocks=2), config)
    assert network.macs / config.macs_per_cycle > 0.99 * network.issue_cycles
    assert not network.resident


def test_missing_drain_is_caught():
    rng = np.random.default_rng(3)
    graph = small_resnet(rng, (16,), 6)
    network = compile_network(graph, config_for(16, 32))
    drained = [i for i, d in enumerate(network.descriptors) if ComputeFlag.DRAIN in d.flags and not d.pool
               and i and not network.descriptors[i - 1].pool]
    assert drained
    image = pack_input(network.input, random_image(rng, graph)[0])
    machine = machine_of(network)
    machine.program.computes[drained[0]]["flags"] &= ~(1 << ComputeFlag.DRAIN)
    with pytest.raises(ContractViolation, match="pipeline"):
        machine.frame(image)


def test_drains_follow_the_latency():
    graph = small_resnet(np.random.default_rng(4), (64,), 16, blocks=2)
    config = AcceleratorConfig(acc_bits=29)
    drains = [d.node for d in compile_network(graph, config).descriptors if ComputeFlag.DRAIN in d.flags]
    assert drains == [n.name for n in graph.nodes[-2:]]  # pool and classifier


def test_runs_never_mix_encrypted_and_plain_nodes():
    rng = np.random.default_rng(5)
    graph = small_resnet(rng, (16, 32), 8)
    names = [n.name for n in graph.nodes if n.name.startswith("conv")]
    secret = frozenset(names[1:4] + names[5:6])
    network = check(graph, config_for(8, 16), random_image(rng, graph), CompileOptions(encrypt=secret))
    seen = set()
    for run in network.runs[1:]:
        for node in run.nodes:
            assert (node in secret) == bool(run.flags >> LoadFlag.ENCRYPTED & 1)
            seen.add(node)
    assert secret <= seen


def test_resident_images_load_weights_once():
    rng = np.random.default_rng(6)
    graph = small_resnet(rng, (16, 24), 8)
    network = check(graph, config_for(16, 32), random_image(rng, graph, 3))
    assert network.resident
    assert all(run.flags >> LoadFlag.RESIDENT & 1 for run in network.runs[1:] if run.kind == LoadKind.WEIGHTS)
    config = config_for(16, 32, weight_lines=network.stream_lines // 2 * 2 - 2)
    small = check(graph, config, random_image(rng, graph, 3))
    assert not small.resident


def test_descriptors_decode_to_what_was_encoded():
    network = compile_network(_one_conv(48), config_for(16, 32))
    data = network.descriptors[0].encode()
    assert encode(COMPUTE_FIELDS, decode(COMPUTE_FIELDS, data)) == data


def test_reconstruction_precedes_the_producer_of_its_consumers_input():
    builder = GraphBuilder(np.random.default_rng(7), (16, 8, 8))
    a = builder.conv("input", 32, (3, 3))
    builder.conv(a, 32, (3, 3), reconstruct=True)
    network = compile_network(builder.graph(), config_for(16, 32))
    first = next(i for i, d in enumerate(network.descriptors) if d.node == a)
    written = [i for i, d in enumerate(network.descriptors) if ComputeFlag.TO_WEIGHTS in d.flags]
    used = [d for d in network.descriptors if ComputeFlag.LOCAL_WEIGHTS in d.flags]
    assert max(written) < first
    assert used and all(d.wait_progress == max(written) + 1 for d in used)


def test_first_core_comes_later_when_memory_is_short():
    rng = np.random.default_rng(1)
    builder = GraphBuilder(rng, (16, 16, 16))
    x = builder.conv("input", 32, (3, 3))
    for stride in (1, 2, 2):
        x = builder.conv(x, 32, (3, 3), (stride, stride))
    builder.conv(builder.conv(x, 32, (1, 1)), 512, (1, 1), reconstruct=True)
    graph = builder.graph()
    waits = {}
    for act_words in (1024, 2048):
        network = check(graph, config_for(16, 32, act_words=act_words), random_image(rng, graph, 2))
        waits[act_words] = [run.wait_progress for run in network.runs if run.kind == LoadKind.ACTIVATIONS]
    assert waits[1024][0] > 0 and waits[2048] == [0]


def test_layer_bytes_add_up():
    rng = np.random.default_rng(10)
    builder = GraphBuilder(rng, (16, 8, 8))
    builder.conv(builder.conv("input", 32, (3, 3)), 32, (3, 3), reconstruct=True)
    network = compile_network(builder.graph(), config_for(16, 32))
    assert sum(network.layer_bytes.values()) == sum(len(run.payload) for run in network.runs[1:])


def test_first_layer_starts_with_the_first_rows():
    graph = small_resnet(np.random.default_rng(11), (64,), 32)
    network = compile_network(graph, AcceleratorConfig(acc_bits=29))
    waits = [d.wait_act for d in network.descriptors]
    pieces = max(waits)
    assert pieces > 2 and waits[:pieces] == list(range(1, pieces + 1)) and set(waits[pieces:]) == {pieces}


def test_compilation_is_reproducible():
    graph = small_resnet(np.random.default_rng(8), (16, 32), 8)
    one, two = (compile_network(graph, config_for(8, 16)) for _ in range(2))
    assert [r.payload for r in one.runs] == [r.payload for r in two.runs]
