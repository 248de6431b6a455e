"""Protected feature maps: every row is a segment with a tag, written once a frame, at a place of its own."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hwgen.compiler import compile_network
from hwgen.emulator import ContractViolation
from hwgen.emulator.decode import decode_program
from hwgen.errors import HwgenError
from hwgen.isa.layout import LoadFlag, LoadKind
from tests.helpers.emulate import check, config_for, machine_of
from tests.helpers.random_graphs import GraphBuilder, random_graph, random_image, small_resnet

SIZES = [(8, 8), (8, 16), (16, 32), (32, 64)]


def _tiny(size, words, **changes):
    return config_for(*size, act_words=words, program_words=1 << 16, protect_activations=True, **changes)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_graphs(size, seed):
    """Odd widths among them; the memory shrinks as far as the compiler can follow."""
    rng = np.random.default_rng([41, seed, *size])
    graph = random_graph(rng, depth=int(rng.integers(3, 9)), largest=16)
    images = random_image(rng, graph, 2)
    words, spilled = 1024, False
    while words >= 64:
        try:
            spilled |= check(graph, _tiny(size, words), images).spilled_bytes > 0
        except HwgenError as error:
            assert "activation memory" in str(error)
            break
        words //= 2


def test_scratch_memory_holds_rows_and_tags_without_reuse():
    rng = np.random.default_rng(42)
    graph = small_resnet(rng, (16, 32, 32), 21)
    protected = check(graph, _tiny((8, 16), 256), random_image(rng, graph, 2))
    plain = compile_network(graph, protected.config.replace(protect_activations=False))
    assert protected.scratch_bytes > plain.scratch_bytes > 0
    rows: set[int] = set()
    for store in decode_program(protected.program).stores:
        if not store["scratch"]:
            assert not store["row_words"]
            continue
        beats = -(-store["row_words"] * 8 // 16)
        count = store["words"] // store["row_words"]
        assert store["stored_beats"] == count * (beats + 1)
        for plane in range(store["last_plane"] + 1):
            first = store["offset"] + plane * store["offset_step"]
            own = {beat for row in range(count) for beat in range(first + row * (beats + 1),
                                                                  first + (row + 1) * (beats + 1))}
            assert not own & rows
            rows |= own
    assert len(rows) == protected.scratch_bytes // 16
    loads = [d for d in decode_program(protected.program).loads if d["flags"] >> LoadFlag.SCRATCH & 1]
    assert loads and all(d["kind"] == LoadKind.INPUT and d["row_words"] for d in loads)


def test_without_spills_nothing_changes():
    rng = np.random.default_rng(43)
    graph = small_resnet(rng, (16, 32), 12)
    protected = compile_network(graph, config_for(16, 32, protect_activations=True))
    plain = compile_network(graph, config_for(16, 32))
    assert protected.program == plain.program and protected.spilled_bytes == 0


def test_rows_that_are_too_long_are_refused():
    builder = GraphBuilder(np.random.default_rng(44), (1, 2, 300))
    x = builder.conv("input", 64, (1, 1))
    builder.conv(x, 64, (1, 1))
    graph = builder.graph()
    with pytest.raises(HwgenError, match=r"rows of 300 words of 64 bytes(.|\n)*16384 bytes"):
        compile_network(graph, _tiny((64, 64), 400))


@pytest.mark.parametrize(("field", "text"), [
    ("offset", "twice in a frame|no row of"), ("row_words", "whole rows|with tags")])
def test_a_program_that_breaks_the_rules_is_found(field, text):
    rng = np.random.default_rng(45)
    graph = small_resnet(rng, (16, 32), 21)
    network = compile_network(graph, _tiny((8, 16), 256))
    machine = machine_of(network)
    stores = list(machine.program.stores)
    own = [n for n, store in enumerate(stores) if store["scratch"]]
    assert len(own) > 2
    stores[own[1]] = stores[own[1]] | ({"offset": stores[own[0]]["offset"]} if field == "offset" else {"row_words": 5})
    machine.program = dataclasses.replace(machine.program, stores=tuple(stores))
    with pytest.raises(ContractViolation, match=text):
        machine.frame(bytes(network.input.bytes))
