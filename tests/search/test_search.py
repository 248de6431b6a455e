"""The search: its choice, its front, its explanation, and boards that are too small."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hwgen.compiler.compile import compile_network
from hwgen.config.accelerator import AcceleratorConfig, aes_cycles
from hwgen.config.board import Board, board_names, load_board
from hwgen.cost.activation import activation_words
from hwgen.cost.arrays import ConfigTable
from hwgen.cost.memory import MemoryModel
from hwgen.cost.network import network_cost
from hwgen.cost.timeline import predict
from hwgen.cost.work import network_work
from hwgen.errors import HwgenError
from hwgen.ir import nodes as ir
from hwgen.ir.nodes import Graph
from hwgen.search import search
from hwgen.search.explain import amount
from hwgen.search.objectives import OBJECTIVES
from hwgen.search.pareto import pareto
from tests.helpers.networks import quantised, residual_network

#: the package's name for it is the function
search_module = import_module("hwgen.search.search")


def test_pareto_keeps_what_nothing_beats() -> None:
    values = np.array([[1, 9], [2, 2], [9, 1], [3, 3], [2, 2], [1, 10]])
    assert sorted(map(tuple, values[pareto(values)])) == [(1, 9), (2, 2), (9, 1)]


def test_pareto_against_the_definition() -> None:
    values = np.random.default_rng(0).integers(0, 6, (200, 3))
    front = set(map(tuple, values[pareto(values)]))
    for row in map(tuple, values):
        beaten = any(all(a <= b for a, b in zip(o, row, strict=True)) and o != row for o in map(tuple, values))
        assert (row in front) == (not beaten)


@pytest.mark.parametrize(("cycles", "chosen"), [
    ({1: 1000, 2: 1000.5, 3: 1000.9, 5: 1090, 10: 1500}, 3),  # the smallest that holds nothing up
    ({1: 1000, 2: 1000.5, 3: 1000.9, 5: 1000.95, 10: 1000.99}, 10),
    ({1: 1000, 2: 1002, 3: 1003, 5: 1004, 10: 1005}, 1),
    ({2: 1000, 3: 1000.5, 5: 1090, 10: 1500}, 3),  # the fastest one's program cannot be made
    ({1: 1100, 2: 1000, 3: 1000.9, 5: 1090, 10: 1500}, 3),  # by its area, the fastest one is not the best
])
def test_decryptors_that_hold_the_weights_up_by_their_program_are_replaced(
    monkeypatch: pytest.MonkeyPatch, cycles: dict[int, float], chosen: int,
) -> None:
    base = AcceleratorConfig()
    table = ConfigTable.of([base.replace(aes_cycles=c) for c in (5, 1, 10, 2, 3)] + [
        base.replace(aes_cycles=1, weight_lines=base.weight_lines // 2)])
    asked: list[int] = []

    def compiled(_found: object, rows: list[int], *_: object) -> dict[int, Any]:
        asked.extend(rows)
        return {row: SimpleNamespace(value=cycles[int(table.aes_cycles[row])]) for row in rows
                if int(table.aes_cycles[row]) in cycles}

    monkeypatch.setattr(search_module, "_compiled", compiled)
    known: dict[int, Any] = compiled(None, [2])
    found: Any = SimpleNamespace(table=table, fits=np.ones(6, bool))
    source: Any = None
    row, faster = search_module._unhindered(found, 2, known, OBJECTIVES["latency"], source)
    assert table.aes_cycles[row] == chosen
    assert set(faster) == {n for n in (0, 1, 3, 4) if int(table.aes_cycles[n]) in cycles}
    assert 5 not in asked and len(set(asked)) == len(asked), "another memory is no twin; nothing is compiled twice"


def test_twins_of_protected_feature_maps_may_have_faster_units_for_them_too(monkeypatch: pytest.MonkeyPatch) -> None:
    base = AcceleratorConfig(protect_activations=True)
    table = ConfigTable.of([base.replace(aes_cycles=own, spill_aes_cycles=spill) for own, spill in (
        (5, 5), (1, 1), (2, 5), (2, 1))])
    asked: list[int] = []

    def compiled(_found: object, rows: list[int], *_: object) -> dict[int, Any]:
        asked.extend(rows)
        return {row: SimpleNamespace(value=float(1000 + 100 * table.aes_cycles[row])) for row in rows}

    monkeypatch.setattr(search_module, "_compiled", compiled)
    known: dict[int, Any] = compiled(None, [0])
    found: Any = SimpleNamespace(table=table, fits=np.ones(4, bool))
    source: Any = None
    row, _ = search_module._unhindered(found, 0, known, OBJECTIVES["latency"], source)
    assert (row, asked) == (1, [0, 1, 2])  # (2, 1) differs in more than the pace of what it has


@pytest.mark.parametrize("name", board_names())
def test_chosen_configuration_compiles_and_fits(name: str) -> None:
    board = load_board(name)
    graph = residual_network((32, 64), 16, tt=True)
    result = search(graph, board)
    assert result.chosen.resources.shortfall(board.resources) is None
    compile_network(quantised(graph), result.chosen.config)
    assert result.chosen in result.front or result.chosen.config in [c.config for c in result.front]
    assert result.chosen.config.packing == board.packing


def test_objectives_pull_in_their_direction() -> None:
    graph, board = residual_network((32, 64), 16), load_board("zcu104")
    found = {goal: search(graph, board, goal=goal).chosen for goal in ("latency", "area", "energy")}
    assert found["area"].resources.lut <= found["latency"].resources.lut
    assert found["latency"].steady_cycles <= found["area"].steady_cycles
    assert found["energy"].energy_uj <= found["latency"].energy_uj


def test_decryptors_are_as_small_as_they_may_be() -> None:
    """All of AES where every byte is encrypted and waited for; hardly any of it where nothing is."""
    graph, board = residual_network((64, 128), 8), load_board("zcu104")
    everything, nothing = (search(graph, board, encrypted=e).chosen for e in (None, ()))
    assert nothing.config.aes_cycles == aes_cycles(128)[-1]
    assert nothing.resources.lut < everything.resources.lut
    assert nothing.cold_cycles <= 1.001 * everything.cold_cycles
    full = everything.config.replace(aes_cycles=1)
    cost = network_cost(network_work(graph), ConfigTable.of([everything.config, full]), MemoryModel.of(board),
                        full.packing)
    assert cost.cold[0] <= 1.01 * cost.cold[1]
@pytest.mark.parametrize("name", board_names())
def test_throughput_fits_and_is_never_worse_than_one_engine(name: str) -> None:
    board = load_board(name)
    graph = residual_network((32, 64), 16, tt=True)
    result = search(graph, board, goal="throughput")
    chosen, single = result.chosen, search(graph, board, goal="throughput", engines=1).chosen
    assert chosen.resources.shortfall(board.resources) is None
    assert chosen.system.ports <= board.max_ports
    assert chosen.interval_cycles <= single.interval_cycles * 1.001
    assert single.engines == 1
    assert single.interval_cycles == single.steady_cycles
    compile_network(quantised(graph), chosen.config)


def test_several_engines_where_one_array_cannot_use_the_board() -> None:
    graph, board = residual_network((32, 64), 16), load_board("zcu104")
    result = search(graph, board, goal="throughput")
    assert result.chosen.engines > 1
    assert "The engines work on different frames" in result.explanation
    assert "- 1 engine: at best" in result.explanation
    single = search(graph, board, goal="throughput", engines=1).chosen
    assert result.chosen.resources.dsp > single.resources.dsp
    assert result.chosen.interval_cycles < single.interval_cycles


@pytest.mark.parametrize("goal", ["latency", "area", "energy"])
def test_one_frame_at_a_time_needs_one_engine(goal: str) -> None:
    assert search(residual_network((32, 64), 16), load_board("zcu104"), goal=goal).chosen.engines == 1


def test_unknown_objective() -> None:
    with pytest.raises(HwgenError, match="did you mean latency"):
        search(residual_network(), load_board("zcu104"), goal="latenzy")


def _smaller(board: Board, **resources: float) -> Board:
    return replace(board, resources=replace(board.resources, **resources))


def test_infeasible_board_names_the_binding_resource() -> None:
    board = _smaller(load_board("pynq-z2"), bram36=15)
    with pytest.raises(HwgenError) as error:
        search(residual_network((64, 128), 32), board)
    text = str(error.value)
    assert "BRAM36" in text
    assert "pynq-z2 has 15" in text
    assert "short by" in text
    assert error.value.exit_code == 2


@pytest.mark.parametrize(("name", "blocks"), [("pynq-z2", 24), ("pynq-z2", 40), ("zcu104", 36)])
def test_feature_maps_need_not_fit(name: str, blocks: int) -> None:
    board = _smaller(load_board(name), bram36=blocks, uram=0)
    graph = residual_network((16, 32), 48)
    chosen = search(graph, board).chosen
    network = compile_network(quantised(graph), chosen.config)
    assert network.strips
    predicted = predict(network, MemoryModel.of(board)).steady.cycles
    assert chosen.steady_cycles == predicted
    assert abs(chosen.model_steady_cycles - predicted) < 0.25 * predicted


def test_protection_of_feature_maps_is_counted() -> None:
    board = _smaller(load_board("zcu104"), bram36=36, uram=0)
    graph = residual_network((16, 32), 48)
    chosen = search(graph, board, base=AcceleratorConfig(protect_activations=True)).chosen
    plain = search(graph, board, compiled=0).chosen
    assert chosen.config.protect_activations and not plain.config.protect_activations
    assert chosen.config.spill_aes_cycles in (1, chosen.config.aes_cycles)
    network = compile_network(quantised(graph), chosen.config)
    assert network.strips and network.spilled_bytes
    predicted = predict(network, MemoryModel.of(board)).steady.cycles
    assert chosen.steady_cycles == predicted
    assert abs(chosen.model_steady_cycles - predicted) < 0.25 * predicted


@pytest.mark.parametrize(("name", "inputs", "bits"), [
    ("zcu104", 1024, 27), ("zcu104", 8256, 28), ("pynq-z2", 512, 25), ("pynq-z2", 4096, 27), ("pynq-z2", 8256, 28)])
def test_accumulators_are_as_wide_as_the_network_needs(name: str, inputs: int, bits: int) -> None:
    """One operand of the board's multiplier, else the default, else whatever the sums can reach."""
    board = load_board(name)
    weight = np.random.default_rng(0).choice([-1.0, 1.0], (10, inputs)).astype(np.float32)
    graph = Graph(name="wide", output="fc", nodes=(
        ir.Input(name="x", inputs=(), shape=(inputs, 1, 1)), ir.Flatten(name="flat", inputs=("x",), shape=(inputs,)),
        ir.Linear(name="fc", inputs=("flat",), shape=(10,), weight=weight, bias=np.zeros(10, np.float32))))
    chosen = search(graph, board).chosen.config
    assert chosen.acc_bits == bits
    network = compile_network(quantised(graph), chosen)
    assert network.acc_bits == (128 * 127 * inputs).bit_length() + 1 <= bits
    with pytest.raises(HwgenError, match=f"need {network.acc_bits} bits, the engine has {network.acc_bits - 1}"):
        compile_network(quantised(graph), chosen.replace(acc_bits=network.acc_bits - 1))


def test_explanation_states_objective_and_alternatives() -> None:
    text = search(residual_network((32, 64), 16), load_board("zcu104")).explanation
    assert "It minimises" in text
    assert "does not fit, needs" in text
    assert "memory ports" in text


@pytest.mark.parametrize("p_i", [8, 16, 32, 64])
def test_activation_need_suffices(p_i: int) -> None:
    graph = residual_network((32, 64), 16)
    words = 1 << (activation_words(network_work(graph), p_i) - 1).bit_length()
    config = search(graph, load_board("zcu104")).chosen.config
    columns = min(4, 128 // p_i)
    fitted = config.replace(p_i=p_i, p_o=2 * p_i, act_words=max(512, words), line_columns=columns)
    assert max(compile_network(quantised(graph), fitted).act_used) <= max(512, words)


@pytest.mark.parametrize(
    ("value", "text"), [(216, "216"), (216.02, "216.1"), (216.5, "216.5"), (47232.4, "47,232.4"), (0.1 + 0.2, "0.3")])
def test_too_many_never_reads_as_enough(value: float, text: str) -> None:
    assert amount(value) == text
