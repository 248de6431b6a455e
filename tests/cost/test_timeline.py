"""The played timeline on programs made by hand: two units beside one another, and what keeps them waiting."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from hwgen.compiler.compile import compile_network
from hwgen.compiler.descriptor import Descriptor
from hwgen.compiler.result import CompiledNetwork
from hwgen.compiler.stream import Run
from hwgen.compiler.transfer import Box
from hwgen.config.accelerator import AcceleratorConfig, WindowUnit
from hwgen.cost.memory import MemoryModel
from hwgen.cost.timeline import Span, predict
from hwgen.errors import HwgenError
from hwgen.isa import layout as isa
from hwgen.isa.layout import ComputeFlag, LoadFlag, LoadKind, Opcode
from rtl_templates.engine.timing import pipeline_latency, window_latency
from tests.helpers.random_graphs import GraphBuilder

CONFIG = AcceleratorConfig(p_i=8, p_o=16, acc_depth=256, act_words=4096, line_columns=4, weight_lines=4096, axi_ports=2,
                           window=WindowUnit.DEPTHWISE, window_width=64)
MEMORY = MemoryModel(bytes_per_cycle=40, latency=100)
LATENCY = pipeline_latency(CONFIG)
#: a map of 16 x 16 pixels
WORDS = 256


@cache
def _any_network() -> CompiledNetwork:
    builder = GraphBuilder(np.random.default_rng(1), (8, 4, 4))
    builder.conv("input", 8, (1, 1))
    return compile_network(builder.graph(), CONFIG)


def program(descriptors: list[Descriptor], stores: list[dict[str, int]] | None = None) -> CompiledNetwork:
    """A program without input whose weights come in one run; every descriptor has its own lines."""
    out, sequence = [], 0
    for d in descriptors:
        half = 2 if ComputeFlag.PAIR in d.flags else 1
        lines = (CONFIG.param_lines + d.steps * CONFIG.lines_per_tile) // half
        lines = CONFIG.window_lines if d.window else lines
        out.append(replace(d, weight_seq=sequence, lines=lines, flags=d.flags | {ComputeFlag.RELEASE}))
        sequence += lines * d.blocks
    beats = sequence * CONFIG.line_bytes // 16
    loads = [{"kind": LoadKind.WEIGHTS, "segment_log2": 7, "beats": beats}, {"flags": 1 << LoadFlag.END}]
    every = stores or []
    every = [*every, {"last": 1}]
    compute_at, load_at = 1, 1 + 6 * (len(out) + 1)
    store_at = load_at + len(loads)
    header = b"".join(v.to_bytes(2, "little") for v in (compute_at, load_at, store_at)) + bytes(10)
    image = header + bytes(16 * 6 * (len(out) + 1)) + b"".join(isa.encode(isa.LOAD_FIELDS, v) for v in loads)
    image += b"".join(isa.encode(isa.STORE_FIELDS, v) for v in every)
    run = Run(kind=LoadKind.PROGRAM, flags=0, segment_log2=7, payload=image)
    return replace(_any_network(), runs=(run,), descriptors=tuple(out), ring_lines=CONFIG.weight_lines,
                   stream_lines=sequence, resident=True)


def array(name: str, *, src: int = 0, blocks: int = 2, steps: int = 4, rows: int = 16, pair: bool = True,
          ) -> Descriptor:
    """A pointwise convolution of ``rows`` rows of 16 pixels."""
    step = 2 if pair else 1
    return Descriptor(
        node=name, operation=0, opcode=Opcode.CONV, flags=frozenset({ComputeFlag.PAIR} if pair else ()),
        counts=(8 if pair else 16, rows, 1, 1, steps, blocks), src_base=src, src_strides=(step, 16, 0, 0, WORDS + 1, 0),
        iy_base=0, iy_strides=(0, 1, 0, 0, 0, 0), ix_base=0, ix_strides=(step, 0, 0, 0, 0, 0), height=16, width=16,
        dst=(0, 1, 16, WORDS + 1, 1), last_words=0, lo=0, hi=0, steps=steps, reads=(Box(src, steps, WORDS + 1, WORDS),))


def window(name: str, *, src: int = 4096, blocks: int = 2, rows: int = 16) -> Descriptor:
    """A 3x3 depthwise convolution of ``rows`` rows of 16 pixels, padded on all sides."""
    return Descriptor(
        node=name, operation=0, opcode=Opcode.WINDOW_CONV, flags=frozenset(), counts=(16, rows, 16, rows, 1, blocks),
        src_base=src, src_strides=(1, 16, 0, 0, 0, WORDS + 1), iy_base=-1, iy_strides=(0, 0, 0, 1, 0, 0), ix_base=-1,
        ix_strides=(0, 0, 1, 0, 0, 0), height=16, width=16, dst=(0, 1, 16, WORDS + 1, 1),
        res=(17, 1, 16, 16 * rows, 1), last_words=0, lo=0, hi=0, reads=(Box(src, blocks, WORDS + 1, WORDS),))


def spans(descriptors: list[Descriptor], stores: list[dict[str, int]] | None = None) -> dict[str, Span]:
    """Of a following frame, by name."""
    return {span.node: span for span in predict(program(descriptors, stores), MEMORY).steady.spans}


def test_the_window_unit_runs_beside_the_array() -> None:
    e, d = array("e0"), window("d0")
    half = 16 * 8 * 2
    order = [e, replace(d, wait_progress=1), replace(array("e1"), wait_progress=0),
             replace(window("d1"), wait_progress=3), replace(array("p0"), wait_progress=2),
             replace(array("p1"), wait_progress=4)]
    found = spans(order)
    for name in ("e0", "e1", "p0", "p1"):
        assert found[name].end - found[name].start == 8 * 16 * 4 * 2
    for name in ("d0", "d1"):  # two blocks, and one row and one column behind the map
        assert found[name].end - found[name].start == found[name].issue == 2 * WORDS + 17
    assert 0 <= found["d0"].start - (found["e0"].end + LATENCY) < 8  # the expanded strip has retired
    assert found["e1"].start == found["e0"].end + 5  # meanwhile the array goes on
    assert found["e1"].start < found["d0"].start < found["e1"].end
    assert found["p0"].start >= found["d0"].end + window_latency(CONFIG)
    assert found["p1"].start >= found["d1"].end + window_latency(CONFIG)
    alone = sum(s.end - s.start for s in found.values())
    assert max(s.end for s in found.values()) - found["e0"].start < alone - half


def test_progress_counts_in_program_order() -> None:
    # the array's second descriptor is done long before the window unit's; who waits for two waits for both
    found = spans([window("w", blocks=4), array("a", rows=4), replace(array("b", rows=4), wait_progress=2)])
    assert found["a"].end < found["w"].end
    assert 0 <= found["b"].start - (found["w"].end + window_latency(CONFIG)) < 8


def test_window_descriptors_follow_one_another() -> None:
    found = spans([window("a"), window("b")])
    assert 0 <= found["b"].start - (found["a"].end + window_latency(CONFIG)) < 12


def test_the_window_unit_waits_while_the_array_reads_its_bank_by_pairs() -> None:
    def cycles(source: int, *, pair: bool = True) -> float:
        found = spans([window("w", src=source), array("a", src=0, blocks=8, pair=pair)])["w"]
        return found.end - found.start

    assert cycles(4096) == cycles(0, pair=False) == 2 * WORDS + 17
    assert cycles(0) > 8 * 16 * 4 * 8  # all of the array's descriptor


def test_a_store_waits_while_the_array_reads_its_bank_by_pairs() -> None:
    descriptors = [array("a", src=0, rows=2), array("b", src=0, blocks=8)]

    def cycles(source: int) -> int:
        store = {"wait_progress": 1, "src": source, "words": 400}
        return predict(program(descriptors, [store]), MEMORY).steady.cycles

    other, same = cycles(4096), cycles(0)
    assert same - other == pytest.approx(400, abs=20)  # behind the last descriptor instead of beside it


def test_window_lines_come_through_the_weight_fetch() -> None:
    descriptors = [array("a", steps=32, blocks=8, rows=1), window("w", src=4096)]
    network = program(descriptors)
    slow = MemoryModel(bytes_per_cycle=2, latency=100)
    cold = {span.node: span for span in predict(network, slow).cold.spans}
    lines = sum(d.lines * d.blocks for d in network.descriptors)
    assert cold["w"].start > lines * CONFIG.line_bytes / 2  # its lines are the last ones that arrive
    assert predict(network, slow).steady.spans[1].start < cold["w"].start / 2


def test_a_program_that_cannot_end_is_refused() -> None:
    with pytest.raises(HwgenError, match=r"stops: compute descriptor 1 \(b\)"):
        predict(program([array("a"), replace(array("b"), wait_progress=3)]), MEMORY)
