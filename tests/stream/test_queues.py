"""Depths of queues from the even schedule, and the latency played pixel by pixel."""

from __future__ import annotations

import numpy as np

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.stream.compile import pipeline_config
from hwgen.stream.play import interval, play
from hwgen.stream.queues import MARGIN, column_depth, with_queues
from hwgen.stream.shapes import folded, stages_of
from rtl_templates.stream.timing import output_latency
from tests.helpers.random_graphs import GraphBuilder, small_resnet


def config_of(graph, pe=2, simd=6):
    """Every stage with about ``pe`` x ``simd``."""
    stages = [folded(s, min(pe, s.out_channels), min(simd, s.window_values)) for s in stages_of(graph)]
    return with_queues(pipeline_config(stages, AcceleratorConfig(), 24))


def test_columns_hold_what_comes_before_it_is_used():
    builder = GraphBuilder(np.random.default_rng(1), (3, 12, 10))
    same = builder.conv("input", 4)
    half = builder.conv(same, 4, stride=(2, 2), padding=(1, 1, 1, 1))
    rows = builder.conv(half, 4, (1, 1))
    builder.conv(rows, 3, (1, 1), raw=True)
    stages = stages_of(builder.graph())
    assert column_depth(stages[0]) == 10 + MARGIN  # a row: one comes before the first is used
    assert column_depth(stages[1]) == 10 + MARGIN  # half a row of delay, half a row of burst


def test_a_residual_waits_as_long_as_the_other_way_takes():
    graph = small_resnet(np.random.default_rng(1), widths=(4,), size=12)
    config = config_of(graph)
    join = next(stage for stage in config.pipeline.stages if stage.residual)
    # two convolutions of 3x3: two rows and two pixels at least
    assert 2 * 12 + 2 <= join.residual_queue <= 5 * 12 + 2 * MARGIN


def test_queues_of_results_cover_the_latency():
    config = config_of(small_resnet(np.random.default_rng(1), widths=(4, 6), size=8), pe=4, simd=30)
    for stage in config.pipeline.stages:
        assert stage.queue * stage.steps * stage.pixels_per_output > output_latency(config, stage)


def test_latency_of_one_stage():
    builder = GraphBuilder(np.random.default_rng(1), (3, 4, 4))
    builder.conv("input", 2, (1, 1), raw=True)
    config = config_of(builder.graph(), pe=2, simd=1)
    stage = config.pipeline.stages[0]
    assert stage.steps == 3 and interval(config) == 48
    times = play(config)
    assert times.total == times.first[stage.name] + 15 * 3 + output_latency(config, stage)


def test_a_slow_input_decides():
    config = config_of(small_resnet(np.random.default_rng(1), widths=(4,), size=8))
    assert interval(config, 100.0) == 64 * 100
    assert play(config, 100.0).total > 63 * 100
