"""The quickest folding, checked against trying everything; its bound; what it gains over the highest frame rate."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

import hwgen.stream.latency as latency_module
from hwgen.config.accelerator import AcceleratorConfig
from hwgen.config.board import load_board
from hwgen.config.pipeline import INPUT
from hwgen.errors import HwgenError
from hwgen.quantize.bounds import required_acc_bits
from hwgen.stream.compile import pipeline_config
from hwgen.stream.folding import GAP, OptionTable
from hwgen.stream.latency import THRIFT, LatencyProblem, relations
from hwgen.stream.layout import lines_of
from hwgen.stream.play import play
from hwgen.stream.queues import rows_needed
from hwgen.stream.search import integer_form
from hwgen.stream.shapes import stages_of
from hwgen.stream.variants import Variant, fastest, for_rate, quickest, quickest_bound, variants
from rtl_templates.stream.timing import output_latency
from tests.helpers.networks import residual_network
from tests.helpers.random_graphs import GraphBuilder, small_resnet

BOARD = load_board("kv260")
BASE = AcceleratorConfig(packing=BOARD.packing)


def found_for(graph, board=BOARD) -> list[Variant]:
    return variants(graph, board, BASE, required_acc_bits(graph), OptionTable())


def small():
    """A residual connection, a stride, a layer over the whole map."""
    builder = GraphBuilder(np.random.default_rng(1), (1, 8, 8))
    x = builder.conv("input", 2, (2, 2), (2, 2), padding=(0, 0, 0, 0))
    x = builder.conv(x, 2, (1, 1), residual=x)
    builder.conv(x, 2, (4, 4), padding=(0, 0, 0, 0), raw=True)
    return builder.graph()


def latency_of(chosen, config, input_cycles):
    """Last result of the last stage: every stage begins as early as all its windows allow, at an even pace."""
    pace, begin, late, shapes = {INPUT: float(input_cycles)}, {INPUT: 0.0}, {INPUT: 0.0}, {}

    def there(name, share):
        if name in shapes and shapes[name].whole:
            share = (shapes[name].pixels_per_output - 1) / shapes[name].pixels_per_output
        return begin[name] + share * pace[name] + late[name]

    for option in chosen:
        stage = option.stage
        pixels = stage.height * stage.width
        when = [0.0]
        if stage.whole:
            when += [there(stage.source, n / pixels) - n / pixels * option.cycles for n in range(pixels)]
        else:
            for row, x in itertools.product(range(stage.out_height), range(stage.out_width)):
                column = min(stage.width, x * stage.stride[1] - stage.padding[2] + stage.kernel[1])
                need = (rows_needed(stage, row) - 1) * stage.width + column - 1
                done = (row * stage.out_width + x) / stage.outputs
                when.append(there(stage.source, need / pixels) - done * option.cycles)
        if stage.residual:
            when += [there(stage.residual, n / stage.outputs) - n / stage.outputs * option.cycles
                     for n in range(stage.outputs)]
        begin[stage.name], pace[stage.name], shapes[stage.name] = max(when), option.cycles, stage
        late[stage.name] = output_latency(config, stage) - (stage.depth - stage.steps)
    last = chosen[-1].stage
    return there(last.name, (last.outputs - 1) / last.outputs)


@pytest.mark.parametrize("dsp, tile", [(8, 0), (8, 1), (14, 0), (30, 2)])
def test_no_quicker_folding_fits(dsp, tile):
    variant = found_for(small())[tile]
    have = variant.have.copy()
    have[0] = dsp
    problem = LatencyProblem(variant.options, have, variant.pixel_cycles, variant.line_cycles)
    bound = problem.relaxed()
    assert bound is not None
    solved = problem.solve(bound)
    assert solved is not None and bound.value <= solved.value

    def value(chosen):
        lines = sum(lines_of(option.stage, variant.config) for option in chosen)
        return latency_of(chosen, variant.config, variant.input_cycles) + variant.line_cycles / 2 * lines

    values = [value(chosen) for chosen in itertools.product(*variant.options)
              if (sum(o.cost for o in chosen) <= have).all()]
    assert len(values) > 10
    by_stage = [next(o for o in one if o.stage == stage) for one, stage in zip(variant.options, solved.stages,
                                                                             strict=True)]
    assert value(by_stage) == pytest.approx(solved.value)
    assert min(values) <= solved.value <= min(values) * (1 + GAP + 5 * THRIFT)


def test_windows_that_bind():
    """Those left out are never the ones that decide, whatever the paces."""
    stages = [s for tile in ((1, 1), (2, 2)) for s in stages_of(small(), tile)]
    builder = GraphBuilder(np.random.default_rng(1), (2, 9, 7))
    x = builder.conv("input", 2, stride=(2, 2), padding=(1, 1, 1, 1))
    x = builder.conv(x, 2, (5, 3), padding=(2, 2, 1, 1))
    builder.conv(x, 2, (3, 2), padding=(0, 0, 0, 0), raw=True)
    for stage in (*stages, *stages_of(builder.graph())):
        if stage.whole:
            continue
        every = [(((rows_needed(stage, row) - 1) * stage.width + min(
            stage.width, x * stage.stride[1] - stage.padding[2] + stage.kernel[1]) - 1) / (stage.height * stage.width),
            (row * stage.out_width + x) / stage.outputs)
            for row, x in itertools.product(range(stage.out_height), range(stage.out_width))]
        for source, own in itertools.product((1.0, 10.0, 100.0, 1000.0), repeat=2):
            assert max(n * source - d * own for n, d in relations(stage)) == pytest.approx(
                max(n * source - d * own for n, d in every))


def test_latency_and_rate_are_different_things():
    """An image of many pixels and few channels: tiles bring it in sooner, and the last stages are the latency."""
    builder = GraphBuilder(np.random.default_rng(3), (1, 32, 32))
    x = builder.max_pool(builder.conv("input", 8))
    x = builder.max_pool(builder.conv(x, 12))
    builder.conv(x, 10, (8, 8), padding=(0, 0, 0, 0), raw=True)
    board = dataclasses.replace(BOARD, resources=dataclasses.replace(BOARD.resources, dsp=200.0))
    found = found_for(builder.graph(), board)
    quick, rate, bound = quickest(found), fastest(found), quickest_bound(found)
    assert quick.stages[0].tile != (1, 1) and bound.value <= quick.value

    def alone(stages):
        """Latency, and half of the cycles in which the weights are loaded."""
        variant = next(v for v in found if v.config.pipeline.first.tile == stages[0].tile)
        design = pipeline_config(stages, BASE, 24)
        lines = sum(lines_of(stage, design) for stage in stages)
        return play(design, variant.pixel_cycles).total + variant.line_cycles / 2 * lines

    assert alone(quick.stages) < 0.9 * alone(rate.stages)
    assert rate.interval <= max(s.frame_steps for s in quick.stages)
    assert alone(quick.stages) == pytest.approx(quick.value, rel=0.1)
    slow = for_rate(found, 4 * rate.interval)
    assert slow.interval <= 4 * rate.interval and slow.share < rate.share


def test_a_network_without_tiles_has_one_variant():
    found = found_for(small_resnet(np.random.default_rng(1), widths=(4,), size=6))
    assert [v.config.pipeline.first.tile for v in found if v.config.pipeline] == [(1, 1)]
    with pytest.raises(HwgenError, match="are too few"):
        for_rate(found, 10)


@pytest.mark.parametrize("scarce", [1.0, 0.3])
def test_few_foldings_of_every_stage_are_enough(scarce, monkeypatch):
    """What large programmes leave out is no part of a folding that is much quicker."""
    for variant in found_for(integer_form(residual_network(widths=(16, 32), size=16))):
        problem = LatencyProblem(variant.options, scarce * variant.have, variant.pixel_cycles, variant.line_cycles)
        bound = problem.relaxed()
        if bound is None:
            continue
        monkeypatch.setattr(latency_module, "LARGE", 1 << 30)
        of_all = problem.solve(bound)
        monkeypatch.setattr(latency_module, "LARGE", 0)
        of_some = problem.solve(bound)
        assert of_all is not None and of_some is not None
        assert bound.value <= of_some.value <= 1.05 * of_all.value
        promising = problem._promising(problem.value)
        assert promising.sum() < problem.count
        assert [int(promising[a:b].sum()) for a, b in itertools.pairwise(problem.first)] == [
            min(latency_module.KEPT, len(one)) for one in variant.options]
