"""The best pipeline for a float network: stages of the quantised one, wanted rates, boards that are too small."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.config.board import load_board
from hwgen.errors import HwgenError
from hwgen.passes.plan import plan
from hwgen.quantize import calibrate, quantise
from hwgen.quantize.bounds import required_acc_bits
from hwgen.stream.compile import compile_pipeline
from hwgen.stream.folding import SHARE
from hwgen.stream.search import fixed_pipeline, integer_form, search_pipeline
from hwgen.stream.shapes import stages_of
from tests.helpers.networks import residual_network

BOARD = load_board("kv260")
GRAPH = residual_network(widths=(8, 12), size=8)


@pytest.mark.parametrize("tt", [False, True])
def test_stages_do_not_depend_on_the_calibration(tt):
    graph = residual_network(widths=(8, 12), size=8, tt=tt)
    images = np.random.default_rng(1).normal(size=(4, 3, 8, 8)).astype(np.float32)
    real = quantise(calibrate(plan(graph), images))
    assert stages_of(integer_form(graph)) == stages_of(real)


def test_a_pipeline_for_the_quantised_network():
    found = search_pipeline(GRAPH, BOARD, AcceleratorConfig())
    images = np.random.default_rng(1).normal(size=(4, 3, 8, 8)).astype(np.float32)
    real = quantise(calibrate(plan(GRAPH), images))
    assert required_acc_bits(real) <= found.config.acc_bits
    assert compile_pipeline(real, found.config).issue_cycles <= found.interval_cycles
    assert found.interval_cycles < found.steady_cycles < found.cold_cycles
    assert found.resources.shortfall(BOARD.resources) is None
    again = fixed_pipeline(GRAPH, BOARD, found.config)
    assert dataclasses.replace(again, seconds=0) == dataclasses.replace(found, seconds=0)


def test_a_wanted_rate():
    found = search_pipeline(GRAPH, BOARD, AcceleratorConfig(), fps=50_000)
    assert BOARD.clock_mhz * 1e6 / found.interval_cycles >= 50_000
    assert found.resources.dsp < search_pipeline(GRAPH, BOARD, AcceleratorConfig()).resources.dsp
    with pytest.raises(HwgenError, match="cycles a frame are too few"):
        search_pipeline(GRAPH, BOARD, AcceleratorConfig(), fps=1e7)


@pytest.mark.parametrize("objective", ["latency", "throughput"])
@pytest.mark.parametrize(("name", "shares"), [("bram36", (1.0, 0.7, 0.3)), ("lut", (0.9, 0.6, 0.4, 0.2))])
def test_queues_of_residual_paths_count_too(objective, name, shares):
    """They are known behind the folding only; nothing that does not fit is ever called the best."""
    graph = residual_network(widths=(16, 32), size=32)
    whole = getattr(search_pipeline(graph, BOARD, AcceleratorConfig(), objective=objective).resources, name)
    refused = 0
    for share in shares:
        there = share * whole / SHARE[name]
        small = dataclasses.replace(BOARD, resources=dataclasses.replace(BOARD.resources, uram=0, **{name: there}))
        try:
            found = search_pipeline(graph, small, AcceleratorConfig(), objective=objective)
        except HwgenError as error:
            assert name.upper() in str(error)
            refused += 1
            continue
        assert getattr(found.resources, name) <= there
        assert found.config.aes_cycles == 1 or getattr(found.resources, name) > 0.9 * SHARE[name] * there
    assert refused < len(shares)
    if name == "bram36":
        assert refused, "the queues alone take more"


def test_a_board_that_is_too_small():
    small = dataclasses.replace(BOARD, resources=dataclasses.replace(BOARD.resources, lut=20_000.0))
    with pytest.raises(HwgenError, match="LUT at least"):
        search_pipeline(GRAPH, small, AcceleratorConfig())
    found = search_pipeline(GRAPH, BOARD, AcceleratorConfig(), fps=10_000)
    with pytest.raises(HwgenError, match="kv260 has 20,000"):
        fixed_pipeline(GRAPH, small, found.config)
