"""Pooling lanes against numpy."""

from __future__ import annotations

import random

import numpy as np
import pytest

from hwgen.config.accelerator import AcceleratorConfig
from rtl_templates.engine.pool import Pool
from tests.rtl_templates.engine.cycles import lanes, packed, run_cycles

CONFIG = AcceleratorConfig(p_i=8, p_o=16, acc_bits=24)


@pytest.mark.parametrize("gap", [0.0, 0.5])
def test_windows(gap: float) -> None:
    rng, values = random.Random(int(10 * gap)), np.random.default_rng(int(10 * gap))
    cycles: list[dict[str, int]] = []
    expected: list[tuple[int, np.ndarray]] = []
    for number in range(60):
        maximum = rng.random() < 0.5
        taps = values.integers(-128, 128, (rng.choice([1, 4, 9, 49]), CONFIG.p_o))
        if number < 4:
            taps[:] = (-128, 127)[number % 2]
        for n, tap in enumerate(taps):
            while rng.random() < gap:
                cycles.append({"valid": 0, "first": rng.getrandbits(1), "maximum": rng.getrandbits(1),
                               "word": rng.getrandbits(8 * CONFIG.p_o)})
            cycles.append({"valid": 1, "first": int(n == 0), "maximum": int(maximum), "word": packed(tap, 8)})
        expected.append((len(cycles), taps.max(0) if maximum else taps.sum(0)))
    cycles.append({"valid": 0})
    seen = run_cycles(Pool(config=CONFIG), cycles, ["totals"])
    for at, want in expected:
        assert lanes(seen[at]["totals"], CONFIG.acc_bits, CONFIG.p_o) == want.tolist()
