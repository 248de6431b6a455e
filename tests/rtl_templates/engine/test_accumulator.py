"""Partial sums against numpy: rows in any order, revisited as early as allowed, with gaps."""

from __future__ import annotations

import random

import numpy as np
import pytest

import rtl_templates.engine.accumulator as template
from hwgen.config.accelerator import AcceleratorConfig
from rtl_templates.engine.column_group import sum_bits
from rtl_templates.engine.timing import ACCUMULATOR_REVISIT
from tests.rtl_templates.engine.cycles import PlainRam, lanes, packed, run_cycles

CONFIG = AcceleratorConfig(p_i=8, p_o=16, acc_bits=28, acc_depth=16)


@pytest.mark.parametrize("gap", [0.0, 0.4])
def test_sums(gap: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template, "Ram", PlainRam)
    rng, values = random.Random(int(10 * gap)), np.random.default_rng(int(10 * gap))
    bits = sum_bits(CONFIG)
    rows = np.zeros((CONFIG.acc_depth, CONFIG.p_o), np.int64)
    last = [-ACCUMULATOR_REVISIT] * CONFIG.acc_depth
    started: set[int] = set()
    noise = {"sums": 0, "valid": 0, "first": 0, "row": 0, "read_row": 0}
    cycles = [dict(noise) for _ in range(1200)]
    for cycle in cycles:  # what is not valid may be anything
        cycle.update(sums=rng.getrandbits(bits * CONFIG.p_o), first=rng.getrandbits(1),
                     row=rng.randrange(CONFIG.acc_depth), read_row=rng.randrange(CONFIG.acc_depth))
    expected: list[tuple[int, list[int]]] = []
    at = 2
    while at < len(cycles) - 1:
        free = [r for r in range(CONFIG.acc_depth) if at - last[r] >= ACCUMULATOR_REVISIT]
        if rng.random() < gap or not free:
            at += 1
            continue
        # as often as not the row that became free just now
        row = min(free, key=lambda r: at - last[r]) if rng.random() < 0.5 else rng.choice(free)
        first = row not in started or rng.random() < 0.2
        sums = values.integers(-(1 << bits - 1), 1 << bits - 1, CONFIG.p_o)
        rows[row] = sums + (0 if first else rows[row])
        started.add(row)
        last[row] = at
        cycles[at - 2]["read_row"] = row
        cycles[at] |= {"sums": packed(sums, bits), "valid": 1, "first": int(first), "row": row}
        expected.append((at + 1, rows[row].tolist()))
        at += 1
    seen = run_cycles(template.Accumulator(config=CONFIG), cycles, ["totals"])
    assert len(expected) > 500
    for moment, want in expected:
        assert lanes(seen[moment]["totals"], CONFIG.acc_bits, CONFIG.p_o) == want
