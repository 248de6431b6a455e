"""One lane of the post-processor on the vectors that the golden model is tested with."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from hwgen.config.accelerator import AcceleratorConfig
from rtl_templates.engine.requantise import Requantise
from rtl_templates.engine.timing import POST_PROCESS
from tests.rtl_templates.engine.cycles import run_cycles

VECTORS = Path(__file__).parents[2] / "vectors" / "requantise.json"
CONFIG = AcceleratorConfig(p_i=8, p_o=16, acc_bits=32)


def check(cases: list[dict], biases: list[int], gap: float, rng: random.Random) -> None:
    """One case per cycle, each input at its time, noise in between; results and raw outputs at theirs."""
    begins: list[int] = []
    at = 0
    for _ in cases:
        while rng.random() < gap:
            at += 1
        begins.append(at)
        at += 1
    cycles = [{"acc": rng.randrange(-(2**31), 2**31), "bias": rng.randrange(-(2**31), 2**31),
               "multiplier": rng.getrandbits(16), "residual_multiplier": rng.getrandbits(16),
               "shift": rng.randrange(1, 48), "residual": rng.randrange(-128, 128), "lo": -128, "hi": 127}
              for _ in range(at + POST_PROCESS + 1)]
    for case, bias, begin in zip(cases, biases, begins, strict=True):
        cycles[begin] |= {"acc": case["acc"] - bias, "bias": bias, "multiplier": case["mult"],
                          "residual_multiplier": case["res_mult"], "shift": case["shift"]}
        cycles[begin + 1]["residual"] = case["res"]
        cycles[begin + POST_PROCESS - 1] |= {"lo": case["lo"], "hi": case["hi"]}
    seen = run_cycles(Requantise(config=CONFIG), cycles, ["result", "raw"])
    for case, begin in zip(cases, begins, strict=True):
        assert seen[begin + POST_PROCESS]["result"] == case["expected"], case
        assert seen[begin + 1]["raw"] == case["acc"], case


@pytest.mark.parametrize("gap", [0.0, 0.4])
def test_shared_vectors(gap: float) -> None:
    cases = json.loads(VECTORS.read_text())
    check(cases, [0] * len(cases), gap, random.Random(1))


def test_shared_vectors_with_a_bias() -> None:
    """The vectors' ``acc`` is the sum of accumulator and bias; neither leaves 32 bits."""
    rng = random.Random(2)
    cases = json.loads(VECTORS.read_text())
    biases = [rng.randrange(max(-(2**31), c["acc"] - 2**31 + 1), min(2**31 - 1, c["acc"] + 2**31) + 1) for c in cases]
    check(cases, biases, 0.2, rng)
