"""Cycles per frame of several engines, between what the memory and what the arrays allow."""

from __future__ import annotations

import numpy as np

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.config.board import load_board
from hwgen.config.system import SystemConfig
from hwgen.cost.arrays import ConfigTable
from hwgen.cost.memory import MemoryModel
from hwgen.cost.network import network_cost
from hwgen.cost.resources import estimate
from hwgen.cost.shared import Shared
from hwgen.cost.work import network_work
from tests.helpers.networks import residual_network

BOARD = load_board("zcu104")
ENGINE = AcceleratorConfig(p_i=16, p_o=32, axi_ports=1, weight_lines=4096)
TABLE = ConfigTable.of([SystemConfig(engine=ENGINE, engines=n) for n in (1, 2, 3, 1)])


def test_bounds() -> None:
    network = network_work(residual_network((32, 64), 16, tt=True))
    memory = MemoryModel.of(BOARD)
    alone = network_cost(network, TABLE, memory, BOARD.packing)
    shared = Shared.of(network, TABLE, alone, memory, BOARD.packing)
    assert shared.interval[0] == shared.interval[3] == alone.steady[0]
    assert np.all(shared.interval >= alone.steady / TABLE.engines - 1e-6)
    assert np.all(shared.interval >= alone.dram_bytes_steady / memory.bytes_per_cycle)
    assert np.all(shared.interval <= alone.steady)


def test_a_slow_memory_makes_engines_useless() -> None:
    network = network_work(residual_network((64, 128), 8))
    memory = MemoryModel(bytes_per_cycle=0.5, latency=100)
    table = ConfigTable.of([SystemConfig(engine=ENGINE.replace(weight_lines=256), engines=n) for n in (1, 2)])
    alone = network_cost(network, table, memory, BOARD.packing)
    shared = Shared.of(network, table, alone, memory, BOARD.packing)
    assert 0.95 < shared.interval[1] / shared.interval[0] < 1.05


def test_resources_multiply() -> None:
    found = estimate(TABLE, BOARD)
    one, three = found.row(0).to_dict(), found.row(2).to_dict()
    assert all(abs(three[name] - 3 * one[name]) <= 0.2 for name in one)
    assert found.absorbable(1).ff == 2 * found.absorbable(0).ff


def test_rows_become_designs() -> None:
    assert TABLE.system(1, ENGINE) == SystemConfig(engine=ENGINE.replace(act_ram=TABLE.config(1, ENGINE).act_ram),
                                                   engines=2)
