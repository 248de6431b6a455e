"""Folding: the best of a board, checked against trying everything; wanted rates; boards that are too small."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.config.board import load_board
from hwgen.errors import HwgenError
from hwgen.stream import folding
from hwgen.stream.compile import pipeline_config
from hwgen.stream.cost import NAMES, memory, stage_cycles, stage_resources
from hwgen.stream.folding import available, fold, options_of, total
from hwgen.stream.shapes import stages_of
from tests.helpers.random_graphs import GraphBuilder, small_resnet

BOARD = load_board("kv260")
BASE = AcceleratorConfig(aes_cycles=10)


def problem():
    """Three small layers."""
    builder = GraphBuilder(np.random.default_rng(1), (2, 6, 6))
    x = builder.conv("input", 4)
    x = builder.conv(x, 2, (1, 1))
    builder.conv(x, 3, (6, 6), padding=(0, 0, 0, 0), raw=True)
    shapes = stages_of(builder.graph())
    return shapes, pipeline_config(shapes, BASE, 24)


def smaller_board(config, dsp):
    """A board whose multipliers decide."""
    return dataclasses.replace(BOARD, resources=dataclasses.replace(BOARD.resources, dsp=float(dsp)))


@pytest.mark.parametrize("dsp", [12, 20, 35])
def test_no_faster_folding_fits(dsp):
    shapes, config = problem()
    board = smaller_board(config, dsp)
    found, have = fold(shapes, config, board), available(board, config)
    options = [options_of(stage, config, have) for stage in shapes]
    fitting = [max(o.cycles for o in chosen) for chosen in itertools.product(*options)
               if (sum(o.cost for o in chosen) <= have).all()]
    assert found.interval == min(fitting)
    assert found.interval == max(stage_cycles(stage) for stage in found.stages)


def test_options_are_not_dominated_and_enough():
    shapes, config = problem()
    options = options_of(shapes[0], config, available(BOARD, config))
    best = [(o.cycles, o.cost[NAMES.index("dsp")]) for o in options]
    for pe, simd in itertools.product((1, 2, 4), range(1, 19)):
        stage = folding.folded(shapes[0], pe, simd)
        cost = stage_resources(stage, config)
        assert any(cycles <= stage_cycles(stage) and dsp <= cost.dsp for cycles, dsp in best)


def test_a_wanted_rate_takes_fewer_resources():
    shapes = stages_of(small_resnet(np.random.default_rng(2), widths=(16, 32), size=16))
    config = pipeline_config(shapes, BASE, 24)
    fastest = fold(shapes, config, BOARD)
    slower = fold(shapes, config, BOARD, 4 * fastest.interval)
    assert fastest.interval < slower.interval <= 4 * fastest.interval
    both = [total(config.replace(pipeline=dataclasses.replace(config.pipeline, stages=f.stages)), BOARD)
            for f in (fastest, slower)]
    assert both[1].dsp < both[0].dsp / 2 and both[1].lut < both[0].lut
    assert all(getattr(both[0], name) <= getattr(BOARD.resources, name) for name in NAMES)


def test_impossible_wishes_are_named():
    shapes, config = problem()
    with pytest.raises(HwgenError, match="2 cycles a frame are too few") as error:
        fold(shapes, config, BOARD, 2)
    assert "or more" in error.value.allowed
    with pytest.raises(HwgenError, match=r"needs .* DSP at least"):
        fold(shapes, config, smaller_board(config, 2))


def test_memories():
    assert memory(0, 5) == (0.0, 0.0)
    assert memory(14, 32) == (8, 0.0) and memory(14, 64) == (16, 0.0)
    assert memory(72, 512) == (0.0, 1.0) and memory(36, 512) == (0.0, 0.5)
