"""The best candidates by the model are compiled, and the winner is chosen by their programs."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from hwgen.compiler.compile import compile_network
from hwgen.compiler.options import CompileOptions
from hwgen.config.accelerator import AcceleratorConfig
from hwgen.config.board import load_board
from hwgen.config.system import SystemConfig
from hwgen.cost.arrays import ConfigTable
from hwgen.cost.memory import MemoryModel
from hwgen.cost.timeline import predict
from hwgen.search import refine, search
from tests.helpers.networks import quantised, residual_network

SMALL = AcceleratorConfig(p_i=8, p_o=16, act_words=2048, weight_lines=2048, acc_depth=256)
MEMORY = MemoryModel.of(load_board("zcu104"))


@pytest.mark.parametrize("tt", [False, True])
def test_a_skeleton_has_the_program_of_the_quantised_network(tt: bool) -> None:
    graph = residual_network((16, 32), 16, tt=tt)
    real = predict(compile_network(quantised(graph), SMALL), MEMORY)
    cycles = refine.program_cycles(refine.skeleton(graph, {}), SystemConfig(engine=SMALL), MEMORY, None)
    assert cycles == refine.ProgramCycles(real.cold.cycles, real.steady.cycles, real.steady.cycles)


def test_what_is_encrypted_is_compiled_so() -> None:
    graph = residual_network((16, 32), 16)
    config = SMALL.replace(aes_cycles=5)
    plain = predict(compile_network(quantised(graph), config, CompileOptions(
        encrypt=frozenset(), encrypt_program=False)), MEMORY)
    skeleton, system = refine.skeleton(graph, {}), SystemConfig(engine=config)
    everything, nothing = (refine.program_cycles(skeleton, system, MEMORY, encrypted) for encrypted in (None, ()))
    assert nothing is not None and everything is not None
    assert nothing.cold == plain.cold.cycles < everything.cold


def test_engines_share_the_memory() -> None:
    graph, narrow = residual_network((16, 32), 16), replace(MEMORY, bytes_per_cycle=4.0)
    one, two = (refine.program_cycles(refine.skeleton(graph, {}), SystemConfig(engine=SMALL, engines=n), narrow, None)
                for n in (1, 2))
    assert one is not None and two is not None
    assert (one.cold, one.steady) == (two.cold, two.steady)
    assert one.interval / 2 < two.interval < one.interval


def test_a_program_that_cannot_be_made_is_none() -> None:
    graph = residual_network((16, 32), 16)
    tiny = SMALL.replace(program_words=32)
    assert refine.program_cycles(refine.skeleton(graph, {}), SystemConfig(engine=tiny), MEMORY, None) is None


def test_contenders_differ_in_kind_and_are_near_the_best() -> None:
    table = ConfigTable.of([SMALL, SMALL.replace(acc_depth=128), SMALL.replace(act_words=1024),
                            SMALL.replace(act_words=512), SMALL.replace(act_words=4096)])
    values = np.array([110.0, 100.0, 105.0, 99.0, 200.0])
    found = refine.contenders(table, np.arange(5), values, 8)
    assert [sorted(rows.tolist()) for rows in found] == [[3], [0, 1], [2]]
    assert len(refine.contenders(table, np.arange(5), values, 2)) == 2
    assert refine.contenders(table, np.array([4]), values[[4]], 8)[0].tolist() == [4]


def test_the_winner_is_chosen_by_its_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a program of the model's winner that takes three times as long, another kind wins."""
    monkeypatch.setattr(refine, "WITHIN", 2.0)
    graph, board = residual_network((16, 32), 32), load_board("pynq-z2")
    first = search(graph, board)
    assert first.chosen.compiled and first.front[0] == first.chosen
    real = predict(compile_network(quantised(graph), first.chosen.config), MemoryModel.of(board))
    assert (first.chosen.cold_cycles, first.chosen.steady_cycles) == (real.cold.cycles, real.steady.cycles)
    own = refine.program_cycles

    def slow(skeleton, system, memory, encrypted):
        cycles = own(skeleton, system, memory, encrypted)
        if system != first.chosen.system or cycles is None:
            return cycles
        return refine.ProgramCycles(3 * cycles.cold, 3 * cycles.steady, 3 * cycles.interval)

    monkeypatch.setattr(sys.modules["hwgen.search.search"], "program_cycles", slow)
    second = search(graph, board)
    assert second.chosen.system != first.chosen.system and second.chosen.compiled


def test_the_model_alone() -> None:
    result = search(residual_network((32, 64), 16), load_board("zcu104"), compiled=0)
    assert not any(c.compiled for c in result.front)
    assert result.chosen.cold_cycles == result.chosen.model_cold_cycles
