"""Writes requantise.json: the corner cases of the requantisation, computed with Python's unbounded integers.

Shared by the tests of the golden model and of the hardware. Knows nothing of either; run it to regenerate the file:
``python tests/vectors/make_requantise.py``.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

INT32 = (-(2**31), 2**31 - 1)
TARGET = Path(__file__).with_name("requantise.json")


def expected(case: dict[str, int]) -> int:
    """``clamp((acc*M + res*R + 2^(S-1)) >> S, lo, hi)`` by floor division: an arithmetic shift rounds to -infinity."""
    total = case["acc"] * case["mult"] + case["res"] * case["res_mult"] + 2 ** (case["shift"] - 1)
    assert -(2**63) <= total < 2**63
    return max(case["lo"], min(case["hi"], total // 2 ** case["shift"]))


def make() -> list[dict[str, int | str]]:
    """All cases; the same list every time."""
    cases: list[dict[str, int | str]] = []

    def add(
        note: str, acc: int, mult: int, shift: int, res: int = 0, *, res_mult: int = 0, lo: int = -128, hi: int = 127
    ) -> None:
        case = {"acc": acc, "mult": mult, "shift": shift, "res": res, "res_mult": res_mult, "lo": lo, "hi": hi}
        cases.append({"note": note, **case, "expected": expected(case)})

    for acc in (-5, -3, -2, -1, 0, 1, 2, 3, 5):
        add("tie: half way goes up", acc, 1, 1)
        add("tie by a larger shift", acc * 4, 1, 3)
        add("tie with a normal multiplier", acc, 32768, 16)
    for acc in (-257, -256, -255, -254, 253, 254, 255, 256):
        add("saturation of int8", acc, 1, 1)
        add("saturation after ReLU", acc, 1, 1, lo=0)
        add("saturation after ReLU6", acc, 1, 1, lo=0, hi=90)
    for acc in INT32:
        for mult in (0, 1, 65535):
            for shift in (1, 16, 31, 47):
                add("extreme accumulator", acc, mult, shift)
                add("extreme accumulator and residual", acc, mult, shift, -128, res_mult=65535)
                add("extreme accumulator, residual against it", acc, mult, shift, 127, res_mult=65535)
    for res in (-128, -127, -1, 0, 1, 127):
        add("residual alone", 0, 65535, 15, res, res_mult=32768)
        add("residual and accumulator cancel", -res * 3, 10000, 15, res, res_mult=30000)
        add("residual without accumulator weight", 12345, 0, 8, res, res_mult=256)
        add("residual, ReLU", -40, 512, 9, res, res_mult=512, lo=0)
    for shift in range(1, 48):
        half = 2 ** (shift - 1)
        for acc in (half - 1, half, half + 1, -half, -half - 1):
            if INT32[0] <= acc <= INT32[1]:
                add(f"half a step at S={shift}", acc, 1, shift)
        if shift > 16:
            big = half // 65535
            for acc in (big, big + 1, -big, -big - 1):
                if INT32[0] <= acc <= INT32[1]:
                    add(f"half a step at S={shift}, M=65535", acc, 65535, shift)
    rng = random.Random(20240607)
    for _ in range(400):
        shift = rng.randint(1, 47)
        mult, res_mult = rng.randint(0, 65535), rng.choice((0, rng.randint(0, 65535)))
        target = rng.uniform(-160, 160)  # aim at and around the int8 range, so that most cases do not saturate
        acc = round((target * 2**shift) / max(mult, 1))
        acc = max(INT32[0], min(INT32[1], acc + rng.randint(-3, 3)))
        lo, hi = rng.choice(((-128, 127), (0, 127), (-127, 127), (0, rng.randint(1, 126))))
        add("random", acc, mult, shift, rng.randint(-128, 127), res_mult=res_mult, lo=lo, hi=hi)
    return cases


if __name__ == "__main__":
    lines = ",\n".join(json.dumps(case) for case in make())
    TARGET.write_text(f"[\n{lines}\n]\n")
