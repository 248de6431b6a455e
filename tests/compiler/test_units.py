"""The compiler's small parts, each by itself."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from hwgen.compiler.allocate import Request, allocate
from hwgen.compiler.banks import BankConstraints
from hwgen.compiler.channels import ChannelLayout
from hwgen.compiler.descriptor import jumps
from hwgen.compiler.folding import find_fold
from hwgen.compiler.shapes import Window, find_window
from hwgen.compiler.tiling import plan_tiles
from tests.helpers.emulate import config_for
from tests.helpers.random_graphs import GraphBuilder


def test_jumps_walk_the_loop_nest():
    rng = np.random.default_rng(1)
    for _ in range(50):
        counts = [int(v) for v in rng.integers(1, 4, 6)]
        strides = [int(v) for v in rng.integers(-9, 10, 6)]
        steps, address, seen = jumps(strides, counts), 0, []
        index = [0] * 6
        for _ in range(int(np.prod(counts))):
            seen.append(address)
            for k in range(6):
                if index[k] + 1 < counts[k]:
                    index[k] += 1
                    address += steps[k]
                    break
                index[k] = 0
        expected = [sum(i * s for i, s in zip(reversed(position), strides, strict=True))
                    for position in itertools.product(*(range(n) for n in reversed(counts)))]
        assert seen == expected


def test_channel_layout_of_concatenated_parts():
    layout = ChannelLayout.joined((ChannelLayout.plain(5, 8), ChannelLayout.plain(10, 8)))
    assert (layout.channels, layout.blocks, layout.lanes) == (15, 3, 24)
    assert layout.lane_of().tolist() == [*range(5), *range(8, 18)]
    assert layout.places() == ((0, 5, 0), (5, 10, 1))


def test_windows():
    diagonal = np.eye(4, dtype=bool)
    assert find_window(diagonal, 0, 4, 1) == Window(0, 1, 1)
    assert find_window(diagonal, 0, 4, 2) == Window(0, 2, 2)
    assert find_window(diagonal, 2, 2, 1) == Window(2, 1, 1)
    assert find_window(np.ones((3, 5), bool), 0, 3, 1) == Window(0, 0, 5)
    uneven = np.array([[1, 1, 0], [0, 1, 1]], bool)
    assert find_window(uneven, 0, 2, 1) == Window(0, 1, 2)


@pytest.mark.parametrize("pair", [False, True])
@pytest.mark.parametrize("joined", [False, True])
def test_tiles_cover_the_map_once(pair, joined):
    for height, width, depth in itertools.product((1, 3, 7, 20), (1, 2, 9, 16, 40), (8, 16, 64)):
        tiling = plan_tiles(height, width, joined, pair, depth)
        if tiling is None:
            assert pair and width % 2 and not joined
            continue
        hits = np.zeros((1, height * width) if joined else (height, width), int)
        for tile in tiling.tiles:
            assert tile.iterations(pair) <= depth
            hits[tile.y:tile.y + tile.rows, tile.x:tile.x + tile.columns] += 1
        assert np.all(hits == 1)


def test_allocation_overlaps_nowhere():
    rng = np.random.default_rng(2)
    for _ in range(20):
        requests = []
        for i in range(15):
            first = int(rng.integers(0, 20))
            requests.append(Request(f"t{i}", int(rng.integers(1, 50)), first, first + int(rng.integers(0, 6)),
                                    f"g{i // 3}", i % 2))
        found = allocate(requests, 2, 60)
        for a, b in itertools.combinations(requests, 2):
            home_a, home_b = found.homes[a.name], found.homes[b.name]
            if a.group == b.group and a.side != b.side:
                assert home_a.bank != home_b.bank
            if a.overlaps(b) and home_a.bank == home_b.bank:
                assert home_a.offset + a.words <= home_b.offset or home_b.offset + b.words <= home_a.offset


def test_allocation_reuses_dead_memory():
    chain = [Request(f"t{i}", 10, i, i + 1) for i in range(8)]
    assert allocate(chain, 2, 10).peak == 10


def test_bank_constraints_find_odd_cycles():
    constraints = BankConstraints()
    assert constraints.apart("a", "b") and constraints.apart("b", "c")
    assert not constraints.apart("a", "c")
    assert not constraints.apart("a", "a")
    assert constraints.apart("c", "d")
    assert constraints.find("b")[1] == constraints.find("d")[1]


def test_folding_only_where_it_pays():
    config = config_for(32, 64)

    def graph(channels: int, kernel: int):
        builder = GraphBuilder(np.random.default_rng(3), (channels, 16, 16))
        builder.conv("input", 64, (kernel, kernel))
        return builder.graph()

    fold = find_fold(graph(3, 3), config)
    assert fold is not None and (fold.channels, fold.height, fold.width) == (27, 16, 16)
    assert find_fold(graph(32, 3), config) is None
    assert find_fold(graph(3, 1), config) is None


def test_two_readers_of_different_geometry_prevent_folding():
    builder = GraphBuilder(np.random.default_rng(4), (3, 16, 16))
    a = builder.conv("input", 8, (3, 3))
    b = builder.conv("input", 8, (5, 5))
    builder.add(a, b)
    assert find_fold(builder.graph(), config_for(32, 64)) is None
