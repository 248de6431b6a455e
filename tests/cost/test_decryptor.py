"""What a decryptor costs in cycles when not all of AES is built."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hwgen.compiler.compile import compile_network
from hwgen.compiler.options import CompileOptions
from hwgen.config.accelerator import AcceleratorConfig
from hwgen.cost.arrays import ConfigTable
from hwgen.cost.decryptor import SegmentCipher, encrypted_rate
from hwgen.cost.memory import MemoryModel
from hwgen.cost.network import network_cost
from hwgen.cost.timeline import predict
from hwgen.cost.work import network_work, with_encryption
from hwgen.ir.nodes import Graph
from tests.helpers.networks import quantised, residual_network

MEMORY = MemoryModel(bytes_per_cycle=40, latency=100)
CONFIGS = [AcceleratorConfig(axi_ports=2, weight_lines=512, aes_cycles=n) for n in (1, 2, 5)]


@pytest.fixture(scope="module")
def network() -> Graph:
    return residual_network((64, 128), 8)


def test_keystream() -> None:
    """What waits is used up at the port's rate, while the cipher goes on."""
    def ahead(idle: float, **config: Any) -> float:
        return SegmentCipher(AcceleratorConfig(**config)).ahead(100.0, 100.0 + idle, 500)

    assert ahead(0, aes_cycles=2) == 0
    assert ahead(20, aes_cycles=2) == 20
    assert ahead(1e6, aes_cycles=2) == 64
    assert ahead(1e6, aes_cycles=5) == 40
    assert ahead(0, aes_cycles=1) == float("inf")


def test_keystream_of_one_segment_after_the_other() -> None:
    """A segment's key stream waits for that of the segments before it, and is made while their data come."""
    cipher = SegmentCipher(AcceleratorConfig(aes_cycles=5))
    assert cipher.ahead(0.0, 100.0, 30) == 25  # 20 blocks wait, 5 are made meanwhile
    assert cipher.ahead(0.0, 200.0, 1) == 12.5  # begun at 150, when the thirtieth was made
    assert cipher.ahead(0.0, 255.0, 20) == 25  # begun at 155
    assert cipher.ahead(0.0, 250.0, 20) == 0  # the cipher is still at work
    full = SegmentCipher(AcceleratorConfig(aes_cycles=2))
    full.ahead(0.0, 1000.0, 132)  # 32 waited, 100 are made from 1000 on
    assert full.ahead(0.0, 1220.0, 10) == 20


def test_rate_of_all_ports() -> None:
    table = ConfigTable.of([AcceleratorConfig(axi_ports=p, aes_cycles=n) for p, n in ((4, 1), (4, 2), (1, 5))])
    assert list(encrypted_rate(table, 40.0)) == pytest.approx([40, 32, 3.2])


def test_analytic_cycles_follow_the_timeline(network: Graph) -> None:
    """A ring much smaller than the network's weights: the slower the decryptors, the more of a frame is theirs."""
    cost = network_cost(network_work(network), ConfigTable.of(CONFIGS), MEMORY, CONFIGS[0].packing)
    exact = [predict(compile_network(quantised(network), c), MEMORY) for c in CONFIGS]
    assert list(cost.steady) == sorted(cost.steady)
    for row in range(len(CONFIGS)):
        assert cost.steady[row] == pytest.approx(exact[row].steady.cycles, rel=0.1)
        assert cost.cold[row] == pytest.approx(exact[row].cold.cycles, rel=0.1)
    assert exact[2].steady.cycles > 2 * exact[0].steady.cycles


def test_plain_layers_are_not_slowed(network: Graph) -> None:
    work, table = network_work(network), ConfigTable.of(CONFIGS)
    nothing, everything = (network_cost(with_encryption(work, e), table, MEMORY, CONFIGS[0].packing)
                           for e in ((), None))
    assert len(np.unique(nothing.cold)) == len(np.unique(nothing.steady)) == 1
    assert everything.steady[0] == nothing.steady[0]
    names = [w.name for w in work.works if not w.pool]
    some = network_cost(with_encryption(work, names[-2:]), table, MEMORY, CONFIGS[0].packing)
    assert nothing.steady[2] < some.steady[2] < everything.steady[2]
    graph = quantised(network)
    frames = [predict(compile_network(graph, c, CompileOptions(encrypt=frozenset(), encrypt_program=False)), MEMORY)
              for c in CONFIGS]
    assert len({f.cold.cycles for f in frames}) == len({f.steady.cycles for f in frames}) == 1
