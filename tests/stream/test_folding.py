"""Folding: the best of a board, checked against trying everything; wanted rates; boards that are too small."""

from __future__ import annotations

import dataclasses
import itertools
import re

import numpy as np
import pytest

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.config.board import Board, load_board
from hwgen.config.pipeline import StageConfig
from hwgen.ir.nodes import Graph
from hwgen.stream import folding
from hwgen.stream.compile import pipeline_config
from hwgen.stream.cost import NAMES, memory, stage_cycles, stage_resources
from hwgen.stream.folding import Option, available, cheapest, fold, options_of, too_small, total
from hwgen.stream.shapes import stages_of
from tests.helpers.random_graphs import GraphBuilder, small_resnet

BOARD = load_board("kv260")
BASE = AcceleratorConfig(aes_cycles=10)


@dataclasses.dataclass(frozen=True)
class Problem:
    """Stages and what there is for them."""

    shapes: tuple[StageConfig, ...]
    config: AcceleratorConfig
    board: Board

    @classmethod
    def of(cls, graph: Graph, dsp: float | None = None) -> Problem:
        """``dsp``: a board whose multipliers decide."""
        shapes = stages_of(graph)
        board = BOARD if dsp is None else dataclasses.replace(
            BOARD, resources=dataclasses.replace(BOARD.resources, dsp=float(dsp)))
        return cls(shapes, pipeline_config(shapes, BASE, 24), board)

    @property
    def have(self) -> np.ndarray:
        return available(self.board, self.config)

    @property
    def options(self) -> list[tuple[Option, ...]]:
        return [options_of(stage, self.config, self.have) for stage in self.shapes]


def small() -> Graph:
    """Three small layers."""
    builder = GraphBuilder(np.random.default_rng(1), (2, 6, 6))
    x = builder.conv("input", 4)
    x = builder.conv(x, 2, (1, 1))
    builder.conv(x, 3, (6, 6), padding=(0, 0, 0, 0), raw=True)
    return builder.graph()


@pytest.mark.parametrize("dsp", [12, 20, 35])
def test_no_faster_folding_fits(dsp):
    problem = Problem.of(small(), dsp)
    found = fold(problem.options, problem.have)
    fitting = [max(o.cycles for o in chosen) for chosen in itertools.product(*problem.options)
               if (sum(o.cost for o in chosen) <= problem.have).all()]
    assert found is not None and found.interval == min(fitting)
    assert found.interval == max(stage_cycles(stage) for stage in found.stages)


def test_an_input_that_decides():
    """Nothing is spent on stages that would wait for it."""
    problem = Problem.of(small())
    found, slow = fold(problem.options, problem.have), fold(problem.options, problem.have, 500)
    assert found is not None and slow is not None and found.interval < slow.interval == 500
    assert slow.share < found.share and max(stage_cycles(stage) for stage in slow.stages) <= 500


def test_options_are_not_dominated_and_enough():
    problem = Problem.of(small())
    shapes, config, options = problem.shapes, problem.config, problem.options[0]
    best = [(o.cycles, o.cost[NAMES.index("dsp")]) for o in options]
    for pe, simd in itertools.product((1, 2, 4), range(1, 19)):
        stage = folding.folded(shapes[0], pe, simd)
        cost = stage_resources(stage, config)
        assert any(cycles <= stage_cycles(stage) and dsp <= cost.dsp for cycles, dsp in best)


def test_serial_channels_are_an_option_where_windows_are_wide():
    """A depthwise layer of many channels: in cycles the same as all channels at once, in logic a fraction."""
    builder = GraphBuilder(np.random.default_rng(1), (64, 6, 6))
    builder.conv(builder.conv("input", 64, groups=64), 3, (1, 1), raw=True)
    problem = Problem.of(builder.graph())
    options = {serial: [o for o in problem.options[0] if o.stage.serial == serial] for serial in (False, True)}
    lut = NAMES.index("lut")
    cycles = 8 * 6 * 64  # a channel a cycle, with two rows of padding
    least = {serial: min(o.cost[lut] for o in some if o.cycles <= cycles) for serial, some in options.items()}
    assert least[True] < 0.5 * least[False]
    assert not any(o.stage.serial for o in problem.options[1])  # dense: every output reads all channels


def test_a_wanted_rate_takes_fewer_resources():
    problem = Problem.of(small_resnet(np.random.default_rng(2), widths=(16, 32), size=16))
    fastest = fold(problem.options, problem.have)
    assert fastest is not None
    slower = cheapest(problem.options, 4 * fastest.interval, problem.have)
    assert slower is not None and fastest.interval < slower.interval <= 4 * fastest.interval
    config = problem.config
    both = [total(config.replace(pipeline=dataclasses.replace(config.pipeline, stages=f.stages)), BOARD)
            for f in (fastest, slower)]
    assert both[1].dsp < both[0].dsp / 2 and both[1].lut < both[0].lut
    assert all(getattr(both[0], name) <= getattr(BOARD.resources, name) for name in NAMES)


def test_what_does_not_fit_is_named():
    problem = Problem.of(small(), 2)
    assert fold(problem.options, problem.have) is None and cheapest(problem.options, 10**6, problem.have) is None
    assert re.search(r"needs .* DSP at least", str(too_small(problem.options, problem.have, problem.board)))


def test_memories():
    assert memory(0, 5) == (0.0, 0.0)
    assert memory(14, 32) == (8, 0.0) and memory(14, 64) == (16, 0.0)
    assert memory(72, 512) == (0.0, 1.0) and memory(36, 512) == (0.0, 0.5)
