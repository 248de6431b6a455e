"""What does not fit is named, with how much is missing."""

from __future__ import annotations

import numpy as np
import pytest

from hwgen.compiler import compile_network
from hwgen.errors import HwgenError
from tests.helpers.emulate import config_for
from tests.helpers.random_graphs import GraphBuilder, small_resnet


@pytest.fixture
def network():
    return small_resnet(np.random.default_rng(1), (32, 64), 16)


def test_activation_memory(network):
    with pytest.raises(HwgenError, match=r"needs \d+ words of 16 bytes per bank, the configuration has 16 \(short by"):
        compile_network(network, config_for(16, 32, act_words=16))


def test_weight_memory(network):
    with pytest.raises(HwgenError, match=r"take \d+ lines of weight memory, \d+ can be kept"):
        compile_network(network, config_for(16, 32, weight_lines=150, acc_depth=16))


def test_program_memory(network):
    with pytest.raises(HwgenError, match=r"the program takes \d+ words .*program memory has 32"):
        compile_network(network, config_for(16, 32, program_words=32))


def test_accumulator_width(network):
    with pytest.raises(HwgenError, match=r"conv\d+: sums up to \d+ need \d+ bits, the engine has 20"):
        compile_network(network, config_for(16, 32, acc_bits=20))


def test_accumulator_width_is_tight(network):
    needed = compile_network(network, config_for(16, 32)).acc_bits
    compile_network(network, config_for(16, 32, acc_bits=needed))
    with pytest.raises(HwgenError, match="bits"):
        compile_network(network, config_for(16, 32, acc_bits=needed - 1))


def test_raw_tensors_are_not_read():
    builder = GraphBuilder(np.random.default_rng(2), (4, 6, 6))
    raw = builder.conv("input", 8, (1, 1), raw=True)
    builder.max_pool(raw)
    with pytest.raises(HwgenError, match="reads the raw output"):
        compile_network(builder.graph(), config_for(16, 32))
