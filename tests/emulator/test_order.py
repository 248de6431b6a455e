"""A wait that is missing is found, whatever the moment at which loads and stores happen to run."""

from __future__ import annotations

import numpy as np
import pytest

from hwgen.emulator import ContractViolation
from hwgen.emulator.order import order_of
from tests.helpers.buffers import pack_input
from tests.helpers.emulate import check, config_for, machine_of
from tests.helpers.random_graphs import random_image, small_resnet


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(41)
    graph = small_resnet(rng, (16, 24, 24), 20)
    images = random_image(rng, graph)
    network = check(graph, config_for(16, 32, act_words=128), images)
    assert network.strips
    return network, pack_input(network.input, images[0])


def _effective(machine, queue, field):
    """Numbers of the entries that wait for more than all entries before them."""
    out, most = [], 0
    for number, entry in enumerate(getattr(machine.program, queue)):
        if entry[field] > most:
            out.append(number)
            most = entry[field]
    return out


@pytest.mark.parametrize(("queue", "field"), [
    ("loads", "wait_progress"), ("loads", "wait_store"), ("computes", "wait_act"), ("computes", "wait_store"),
    ("stores", "wait_progress"),
])
def test_missing_wait(case, queue, field):
    network, image = case
    found = tried = 0
    whole = order_of(machine_of(network).program)
    count = len(_effective(machine_of(network), queue, field))
    assert count > 3
    for position in range(count):
        machine = machine_of(network)
        entries = getattr(machine.program, queue)
        number = _effective(machine, queue, field)[position]
        # the entry and those behind it wait for no more than those before it, up to the next that waits for more
        before = max((e[field] for e in entries[:number]), default=0)
        wanted = entries[number][field]
        for entry in entries[number:]:
            if entry[field] <= wanted:
                entry[field] = min(entry[field], before)
        if order_of(machine.program) == whole:
            machine.frame(image)  # other waits imply this one
            continue
        tried += 1
        try:
            machine.frame(image)
        except ContractViolation:
            found += 1
    # a wait may be for more words than are read: the compiler's boxes are whole rows
    assert tried > 2 and found >= 0.8 * tried, (found, tried)


def test_descriptors_that_wait_for_one_another(case):
    network, image = case
    machine = machine_of(network)
    machine.program.computes[0]["wait_store"] = len(machine.program.stores)
    with pytest.raises(ContractViolation, match="wait for more than can happen"):
        machine.frame(image)
