"""The emulator finds broken programs: each test damages one thing of a correct one."""

from __future__ import annotations

import numpy as np
import pytest

from hwgen.compiler import compile_network
from hwgen.emulator import ContractViolation
from hwgen.emulator.loops import StepAccumulator, accumulate
from hwgen.isa.layout import ComputeFlag
from tests.helpers.buffers import pack_input, unpack_output
from tests.helpers.emulate import config_for, machine_of
from tests.helpers.random_graphs import GraphBuilder, random_image


@pytest.fixture
def case():
    """(machine, packed image, network): conv 3x3, conv 1x1 with residual, several tiles, a wrapping ring."""
    rng = np.random.default_rng(1)
    builder = GraphBuilder(rng, (16, 12, 12))
    a = builder.conv("input", 32, (3, 3))
    builder.conv(a, 32, (3, 3), residual=a)
    graph = builder.graph()
    network = compile_network(graph, config_for(16, 32, weight_lines=200, acc_depth=64))
    return machine_of(network), pack_input(network.input, random_image(rng, graph)[0]), network


def _damage(machine, number, **changes):
    machine.program.computes[number].update(changes)


def test_correct_program_passes(case):
    machine, image, _ = case
    machine.frame(image)
    machine.frame(image)


def test_result_depends_on_every_weight_bit(case):
    machine, image, network = case
    good = unpack_output(network.output, machine.frame(image).output)
    segments = list(machine.segments)
    weights = next(run for run in network.runs if run.index > 0)
    data = bytearray(segments[weights.index])
    data[700] ^= 0x40
    machine.segments = [*segments[:weights.index], bytes(data), *segments[weights.index + 1:]]
    machine.warm = False
    assert not np.array_equal(good, unpack_output(network.output, machine.frame(image).output))


@pytest.mark.parametrize(("field", "change", "text"), [
    ("wait_act", -1, "not waited for"),
    ("dst_plane", 1, "even"),
    ("steps", 1, "the loops make"),
    ("weight_seq", 1, "are not at ring line"),
    ("src_base", 5000, "never written"),
    ("opcode", 5, "opcode"),
])
def test_damaged_field(case, field, change, text):
    machine, image, network = case
    number = 0 if field in ("wait_act", "src_base") else len(network.descriptors) - 1
    if field == "dst_plane":
        number = 0
    _damage(machine, number, **{field: machine.program.computes[number][field] + change})
    with pytest.raises(ContractViolation, match=text):
        machine.frame(image)


def test_residual_in_the_input_bank(case):
    machine, image, network = case
    number = len(network.descriptors) - 1
    d = machine.program.computes[number]
    _damage(machine, number, res_base=d["src_base"] % (1 << 20) + 40)
    with pytest.raises(ContractViolation, match="share a bank"):
        machine.frame(image)


def test_freeing_too_early_and_never(case):
    machine, image, _ = case
    shared = next(i for i, d in enumerate(machine.program.computes) if not d["flags"] >> ComputeFlag.RELEASE & 1)
    flags = machine.program.computes[shared]["flags"]
    _damage(machine, shared, flags=flags | 1 << ComputeFlag.RELEASE)
    with pytest.raises(ContractViolation, match=r"after it was freed|not at ring line|out of order"):
        machine.frame(image)


def test_lines_that_never_arrive(case):
    machine, image, _ = case
    for d in machine.program.computes:
        d["flags"] &= ~(1 << ComputeFlag.RELEASE)
    with pytest.raises(ContractViolation, match="never loaded"):
        machine.frame(image)


def test_store_before_the_result(case):
    machine, image, _ = case
    machine.program.stores[0]["wait_progress"] -= 1
    with pytest.raises(ContractViolation, match=r"a store may still have to read|was not waited for"):
        machine.frame(image)


def test_accumulator_equals_stepping():
    rng = np.random.default_rng(2)
    for _ in range(30):
        counts = [int(v) for v in rng.integers(1, 4, 6)]
        jumps = [int(v) for v in rng.integers(-9, 10, 6)]
        value, index, seen = 7, [0] * 6, []
        for _ in range(int(np.prod(counts))):
            seen.append(value)
            for k in range(6):
                if index[k] + 1 < counts[k]:
                    index[k] += 1
                    value += jumps[k]
                    break
                index[k] = 0
        assert accumulate(np.arange(len(seen)), counts, jumps, 7).tolist() == seen
        slots = counts[0] * counts[1]
        walk = StepAccumulator(counts, jumps, 7, slots)
        assert np.concatenate([walk.step(i) for i in range(len(seen) // slots)]).tolist() == seen
