"""Usage of layers: idle lanes and swaps account for every predicted cycle, and known shapes have known lanes."""

from __future__ import annotations

import numpy as np
import pytest

from hwgen.compiler.compile import compile_network
from hwgen.compiler.options import CompileOptions, Timing
from hwgen.compiler.result import CompiledNetwork
from hwgen.config.accelerator import AcceleratorConfig, WindowUnit
from hwgen.cost.usage import LayerUsage, in_array, layer_usages
from hwgen.ir.nodes import Graph, QConv2d, TTExecution
from hwgen.isa.layout import ComputeFlag
from tests.helpers.emulate import config_for
from tests.helpers.networks import quantised, residual_network
from tests.helpers.random_graphs import GraphBuilder, random_graph

CONFIGS = [config_for(8, 16), config_for(8, 8), config_for(16, 32, line_columns=8)]


def graphs() -> list[Graph]:
    rng = np.random.default_rng(5)
    plain = [quantised(residual_network((16, 24), 9)), quantised(residual_network((16, 24), 8, tt=True)),
             quantised(residual_network((16, 24), 8, tt=True), execution=TTExecution.RECONSTRUCT)]
    return plain + [random_graph(rng, 6, 8, 24) for _ in range(4)]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.p_i}x{c.p_o}")
def test_every_predicted_cycle_is_accounted_for(config: AcceleratorConfig) -> None:
    timing = Timing.of(config)
    for graph in graphs():
        network = compile_network(graph, config)
        usages = layer_usages(network, graph)
        assert set(usages) == {layer.node for layer in network.layers}
        for layer in network.layers:
            usage, mine = usages[layer.node], [network.descriptors[n] for n in layer.descriptors]
            assert usage.array + usage.without_macs == layer.slots
            idle_outputs = usage.array - usage.idle_inputs - usage.idle_pixels - layer.macs / (config.p_i * config.p_o)
            for part in (usage.idle_inputs, usage.idle_pixels, idle_outputs):
                assert part > -1e-6, (layer.node, usage)
            raw = sum(d.slots * (timing.raw_interval - 1) for d in mine if ComputeFlag.RAW in d.flags)
            waits = timing.descriptor * len(mine) + timing.pipeline_latency * layer.drains
            assert layer.slots + raw + usage.swap + waits == layer.cycles
        assert in_array(network.descriptors) == tuple(range(len(network.descriptors)))


def usage_of(
    graph: Graph, config: AcceleratorConfig, options: CompileOptions | None = None
) -> tuple[CompiledNetwork, dict[str, LayerUsage]]:
    network = compile_network(graph, config, options)
    return network, layer_usages(network, graph)


def test_idle_lanes_of_known_shapes() -> None:
    config = config_for(8, 16)
    builder = GraphBuilder(np.random.default_rng(1), (8, 8, 8))
    full = builder.conv("input", 16, (3, 3))  # every lane has work
    ten = builder.conv(full, 10, (1, 1))
    twelve = builder.conv(ten, 16, (1, 1))  # 10 of 16 input lanes
    odd = builder.conv(twelve, 8, (2, 2), padding=(0, 0, 0, 0))  # 7 columns: the fourth pair hangs over
    graph = builder.graph("lanes")
    _, usages = usage_of(graph, config, CompileOptions(fold_input=False))
    assert (usages[full].idle_inputs, usages[full].idle_pixels) == (0, 0)
    assert usages[full].array == 16 * 8 * 9 * 64 / 128
    assert usages[ten].idle_inputs == 0
    assert usages[twelve].idle_inputs == pytest.approx(usages[twelve].array * 6 / 16)
    assert (usages[twelve].macs_per_output, usages[twelve].input_lanes) == (10, 16)
    assert usages[odd].columns == 8  # in pairs
    assert usages[odd].idle_pixels == pytest.approx(usages[odd].array / 8)
    node = graph[odd]
    assert isinstance(node, QConv2d)
    assert (usages[odd].height, usages[odd].width, usages[odd].kernel) == (7, 7, (2, 2))


def test_groups_leave_input_lanes_idle() -> None:
    builder = GraphBuilder(np.random.default_rng(2), (16, 6, 6))
    depthwise = builder.conv("input", 16, (3, 3), groups=16)
    _, usages = usage_of(builder.graph("groups"), config_for(8, 16))
    usage = usages[depthwise]
    assert usage.groups == 16 and usage.macs_per_output == 9
    assert usage.idle_inputs >= usage.array * 7 / 8


def test_short_steps_swap() -> None:
    builder = GraphBuilder(np.random.default_rng(3), (16, 1, 1))
    one = builder.conv("input", 32, (1, 1))
    network, usages = usage_of(builder.graph("one"), config_for(8, 16))
    assert usages[one].step_slots == 1
    assert usages[one].swap == network.layers[0].cycles - network.layers[0].slots - Timing().descriptor


def test_loads_are_those_nobody_waited_for_before() -> None:
    graph = quantised(residual_network((16,), 16))
    network, usages = usage_of(graph, config_for(8, 16))
    first = usages[network.layers[0].node]
    assert first.reads_input and first.loads >= 1 and first.loaded == network.input.bytes
    assert all(u.loads == u.stores == 0 and not u.reads_input for name, u in usages.items()
               if name != network.layers[0].node)
    network, usages = usage_of(graph, config_for(8, 16, act_words=768))
    assert network.strips
    assert sum(u.loads for name, u in usages.items() if name != network.layers[0].node) > 0
    assert sum(u.stores for u in usages.values()) > 0
    # what is spilled is written once and read at least once; the input comes on top
    assert sum(u.loaded for u in usages.values()) >= network.spilled_bytes / 2 + network.input.bytes


def test_layers_beside_the_array_take_none_of_its_slots() -> None:
    builder = GraphBuilder(np.random.default_rng(4), (8, 12, 12))
    wide = builder.conv("input", 32, (1, 1))
    deep = builder.conv(wide, 32, (3, 3), groups=32)
    builder.conv(deep, 16, (1, 1))
    network, usages = usage_of(builder.graph("beside"), config_for(8, 16, window=WindowUnit.DEPTHWISE, window_width=32))
    assert usages[deep].array == usages[deep].without_macs == usages[deep].swap == 0
    assert usages[wide].array > 0 and usages[wide].idle_inputs == 0
    array = in_array(network.descriptors)
    assert [n for n, d in enumerate(network.descriptors) if d.node != deep] == list(array)
