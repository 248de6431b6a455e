"""Which stages a graph needs, and what no stage can do."""

from __future__ import annotations

import numpy as np
import pytest

from hwgen.config.pipeline import INPUT, PipelineConfig, StageKind
from hwgen.errors import HwgenError
from hwgen.stream.shapes import dense_weight, folded, stages_of
from tests.helpers.random_graphs import GraphBuilder, small_resnet


def test_stages_of_a_residual_network():
    graph = small_resnet(np.random.default_rng(1), widths=(4, 6), size=8)
    stages = stages_of(graph)
    assert [stage.name for stage in stages] == [node.name for node in graph.nodes[1:]]
    assert stages[0].source == INPUT and stages[-1].raw and not any(stage.raw for stage in stages[:-1])
    joins = [stage for stage in stages if stage.residual]
    assert [stage.residual for stage in joins] == [stages[0].name, stages[3].name]
    assert stages[-2].kind is StageKind.SUM and stages[-2].whole and stages[-2].pixels_per_output == 16


def test_kinds():
    builder = GraphBuilder(np.random.default_rng(2), (6, 8, 8))
    x = builder.conv("input", 6, groups=6)
    x = builder.max_pool(x)
    y = builder.conv(x, 6, groups=2)
    x = builder.add(x, y)
    x = builder.conv(x, 5, (4, 4), padding=(0, 0, 0, 0))
    builder.conv(x, 3, (1, 1), raw=True)
    stages = stages_of(builder.graph())
    assert [stage.kind.value for stage in stages] == ["depthwise", "maximum", "dense", "sum", "dense", "dense"]
    assert [stage.whole for stage in stages] == [False, False, False, False, True, False]


def test_groups_are_spelled_out():
    builder = GraphBuilder(np.random.default_rng(3), (4, 3, 3))
    builder.conv("input", 6, groups=2)
    node = builder.nodes[-1]
    full = dense_weight(node)
    assert full.shape == (6, 4, 3, 3)
    assert np.array_equal(full[:3, :2], node.weight[:3]) and np.array_equal(full[3:, 2:], node.weight[3:])
    assert not full[:3, 2:].any() and not full[3:, :2].any()


@pytest.mark.parametrize("what, build", [
    ("dilation", lambda b: b.conv("input", 4, dilation=(2, 2))),
    ("a QConcat", lambda b: b.concat("input", b.conv("input", 4))),
    ("a kernel that is contracted", lambda b: b.conv("input", 4, reconstruct=True)),
])
def test_refused_by_name(what, build):
    builder = GraphBuilder(np.random.default_rng(4), (4, 6, 6))
    name = build(builder)
    builder.conv(name, 3, (1, 1), raw=True)
    with pytest.raises(HwgenError, match=what) as error:
        stages_of(builder.graph())
    assert error.value.where == name and "--style engine" in error.value.hint


def test_output_must_be_sums():
    builder = GraphBuilder(np.random.default_rng(4), (4, 6, 6))
    builder.conv("input", 4)
    with pytest.raises(HwgenError, match="does not end in a convolution"):
        stages_of(builder.graph())


def test_fewest_lanes_that_keep_up():
    stage = stages_of(small_resnet(np.random.default_rng(1), widths=(8,), size=8))[1]  # 72 values a window
    assert [folded(stage, 8, simd).lanes for simd in (72, 36, 24, 18, 9, 1)] == [8, 4, 4, 2, 1, 1]


def test_round_trip_and_unknown_sources():
    stages = stages_of(small_resnet(np.random.default_rng(1), widths=(4,), size=6))
    pipeline = PipelineConfig(stages=stages)
    assert PipelineConfig.from_dict(pipeline.to_dict()) == pipeline
    with pytest.raises(HwgenError, match="no stage before it makes"):
        PipelineConfig(stages=stages[1:])
    with pytest.raises(HwgenError, match="unknown field 'speed'"):
        PipelineConfig.from_dict({"stages": [{**pipeline.to_dict()["stages"][0], "speed": 3}]})
    with pytest.raises(HwgenError, match="3 is not possible"):
        stages[0].replace(pe=3)
