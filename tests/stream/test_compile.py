"""Program, lines and layouts of a pipeline; what does not belong together is refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hwgen.compiler import CompileOptions
from hwgen.config.accelerator import AcceleratorConfig, DspPacking
from hwgen.errors import HwgenError
from hwgen.image.disassemble import describe_program
from hwgen.image.layout import config_fingerprint
from hwgen.isa.layout import LoadFlag, LoadKind
from hwgen.quantize.bounds import required_acc_bits
from hwgen.stream.compile import compile_pipeline, pipeline_config
from hwgen.stream.layout import rows, stage_lines
from hwgen.stream.queues import with_queues
from hwgen.stream.shapes import folded, stages_of
from tests.helpers.random_graphs import GraphBuilder, small_resnet

GRAPH = small_resnet(np.random.default_rng(1), widths=(4, 6), size=8, classes=5)


def config_of(graph, **changes):
    stages = [folded(s, 2 if s.out_channels > 1 else 1, min(5, s.window_values)) for s in stages_of(graph)]
    return with_queues(pipeline_config(stages, AcceleratorConfig(**changes), required_acc_bits(graph)))


def test_program_and_runs():
    config = config_of(GRAPH)
    network = compile_pipeline(GRAPH, config)
    program = describe_program(network.program)
    assert [load["kind"] for load in program["load"]] == ["WEIGHTS", "INPUT"] and len(program["store"]) == 1
    assert network.resident and not network.descriptors
    weights = network.runs[1]
    assert len(weights.payload) == stage_lines(config)[-1].end * config.line_bytes
    assert network.stream_lines <= config.weight_lines
    assert network.input.bytes == 8 * 64 and network.output.bytes == 32  # 5 sums of 4 bytes in words of 8, in beats
    assert network.macs == sum(int(n.weight.size) * n.shape[1] * n.shape[2] for n in GRAPH.nodes
                               if hasattr(n, "weight"))


def test_every_weight_is_in_the_stream_once():
    """As a multiset: the bytes that are not 0 of a stage's weight lines are the weights that are not 0."""
    config = config_of(GRAPH)
    payload = np.frombuffer(compile_pipeline(GRAPH, config).runs[1].payload, np.int8).reshape(-1, config.line_bytes)
    for stage, lines in zip(config.pipeline.stages, stage_lines(config), strict=True):
        if not stage.kind.weighted:
            continue
        found = payload[lines.base:lines.record_base].reshape(-1)
        weight = GRAPH[stage.name].weight.reshape(-1)
        assert np.array_equal(np.sort(found[found != 0]), np.sort(weight[weight != 0]))


def test_selected_layers_are_in_runs_of_their_own():
    config = config_of(GRAPH)
    chosen = config.pipeline.stages[1].name
    network = compile_pipeline(GRAPH, config, CompileOptions(encrypt=frozenset({chosen})))
    kinds = [(run.flags >> LoadFlag.ENCRYPTED & 1, chosen in run.nodes) for run in network.runs[1:]]
    assert kinds == [(0, False), (1, True), (0, False)]
    assert all(run.kind is LoadKind.WEIGHTS and run.flags >> LoadFlag.RESIDENT & 1 for run in network.runs[1:])


def test_only_its_own_network():
    other = small_resnet(np.random.default_rng(1), widths=(4, 5), size=8, classes=5)
    with pytest.raises(HwgenError, match="made for another network"):
        compile_pipeline(other, config_of(GRAPH))
    with pytest.raises(HwgenError, match="sums need"):
        compile_pipeline(GRAPH, config_of(GRAPH).replace(acc_bits=16))
    with pytest.raises(HwgenError, match="keeps no layer's results"):
        compile_pipeline(GRAPH, config_of(GRAPH), CompileOptions(debug_dump=True))


def test_too_many_input_channels():
    builder = GraphBuilder(np.random.default_rng(1), (65, 2, 2))
    builder.conv("input", 2, (1, 1), raw=True)
    with pytest.raises(HwgenError, match="an input of 65 channels"):
        config_of(builder.graph())


def test_config_round_trip():
    config = config_of(GRAPH, packing=DspPacking.DSP48E1)
    again = AcceleratorConfig.from_dict(config.to_dict())
    assert again == config and config_fingerprint(again) == config_fingerprint(config)
    assert "pipeline" not in AcceleratorConfig().to_dict()
    stage = config.pipeline.stages[0]
    assert config_fingerprint(config) != config_fingerprint(config.replace(pipeline=dataclasses.replace(
        config.pipeline, stages=(stage.replace(columns=stage.columns + 1), *config.pipeline.stages[1:]))))
    with pytest.raises(HwgenError, match="axi_ports"):
        config.replace(axi_ports=2)


@pytest.mark.parametrize("simd", [1, 7, 8, 9, 24, 29])
@pytest.mark.parametrize("packing", list(DspPacking))
def test_chains_end_together(simd, packing):
    found = rows(simd, packing)
    assert sorted(row.number for row in found) == list(range(simd))
    longest = max(row.position for row in found)
    assert longest < packing.chain
    for chain in {row.chain for row in found}:
        positions = sorted(row.position for row in found if row.chain == chain)
        assert positions == list(range(longest - len(positions) + 1, longest + 1)) and positions[0] <= 1
