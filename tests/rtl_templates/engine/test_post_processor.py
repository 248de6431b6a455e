"""The post-processor against numpy: parameter slots, residual reads, bounds, addresses, raw output; random gaps."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import rtl_templates.engine.post_processor as template
from hwgen.config.accelerator import AcceleratorConfig
from hwgen.isa.layout import ACT_ADDR_BITS
from rtl_templates.engine.requantise import Requantise
from rtl_templates.engine.sequencer import RAW_INTERVAL, tag_layout
from rtl_templates.engine.timing import PARAMETER_SLOTS, POST_PROCESS
from tests.rtl_templates.engine.cycles import PlacedHere, packed, run_cycles

WORDS_2 = AcceleratorConfig(p_i=8, p_o=16, acc_bits=32)
WORDS_1 = AcceleratorConfig(p_i=16, p_o=16, acc_bits=32, line_columns=4)
_TAG = {name: 0 for name, _ in tag_layout(WORDS_2)}
_ADDRESSES = ("dst", "dst_second", "plane", "res", "res_second")


@dataclass
class Schedule:
    """Port values per cycle, noise where nothing is said, and what must be seen."""

    config: AcceleratorConfig
    rng: random.Random
    cycles: list[dict[str, int]] = field(default_factory=list)
    tags: dict[int, dict[str, int]] = field(default_factory=dict)
    #: cycle -> write_valid, addresses, data, to_weights; cycle -> residual request; cycles that end a slot
    writes: dict[int, tuple[int, int, int, int, int]] = field(default_factory=dict)
    requests: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    taken: set[int] = field(default_factory=set)

    def at(self, cycle: int) -> dict[str, int]:
        """Port values of a cycle."""
        rng, config = self.rng, self.config
        while len(self.cycles) <= cycle:
            self.cycles.append({
                "totals": rng.getrandbits(config.p_o * config.acc_bits), "parameter_write": 0,
                "parameter_index": rng.randrange(config.param_lines), "parameter_pair": 0,
                "parameter_slot": rng.randrange(PARAMETER_SLOTS),
                "parameter_line": rng.getrandbits(8 * config.line_bytes),
                "residual0": rng.getrandbits(8 * config.p_i), "residual1": rng.getrandbits(8 * config.p_i)})
        return self.cycles[cycle]

    def parameters(self, cycle: int, slot: int, pair: bool) -> tuple[int, list[dict[str, int]]]:
        """Write a slot, a line per cycle with gaps; the first cycle behind, and the records of all lanes."""
        rng, config = self.rng, self.config
        lines = config.param_lines // 2 if pair else config.param_lines
        records: list[dict[str, int]] = []
        for line in range(lines):
            while rng.random() < 0.3:
                cycle += 1
            new = [{"bias": rng.randrange(-(2**20), 2**20), "multiplier": rng.getrandbits(16),
                    "residual": rng.getrandbits(16), "shift": rng.randrange(8, 40)}
                   for _ in range(config.params_per_line)]
            value = sum((r["bias"] & 0xFFFFFFFF | r["multiplier"] << 32 | r["residual"] << 48 | r["shift"] << 64
                         | rng.getrandbits(58) << 70) << 128 * n for n, r in enumerate(new))
            self.at(cycle).update(parameter_write=1, parameter_index=line, parameter_slot=slot,
                                  parameter_pair=int(pair), parameter_line=value)
            records += new
            cycle += 1
        return cycle, records * 2 if pair else records

    def pixel(self, cycle: int, records: list[dict[str, int]], tag: dict[str, int]) -> None:
        """A pixel (pair) whose tag comes in ``cycle``."""
        rng, config = self.rng, self.config
        words, p_i, p_o = config.p_o // config.p_i, config.p_i, config.p_o
        self.tags[cycle] = tag
        if tag["block_end"]:
            self.taken.add(cycle + 2)
        if not tag["emit"]:
            return
        totals = [rng.randrange(-(2**29), 2**29) for _ in range(p_o)]
        self.at(cycle + 3)["totals"] = packed(totals, config.acc_bits)
        residual = [0] * p_o
        if tag["residual"]:
            self.requests[cycle] = (1 | tag["second"] << 1, tag["res"], tag["res_second"])
            residual = [rng.randrange(-128, 128) for _ in range(p_o)]
            incoming = packed(residual, 8)
            mask = (1 << 8 * p_i) - 1
            self.at(cycle + 3).update(residual0=incoming & mask, residual1=incoming >> 8 * p_i & mask)
        biased = [t + r["bias"] for t, r in zip(totals, records, strict=True)]
        if tag["raw"]:
            value = packed(biased, 32)
            for n in range(RAW_INTERVAL):
                part = value >> 8 * p_o * n
                base = tag["dst"] + n * words * tag["plane"]
                self.writes[cycle + 5 + n] = ((1 << words) - 1, base, base + tag["plane"], part, 0)
            return
        lo, hi = (v - 256 if v > 127 else v for v in (tag["lo"], tag["hi"]))
        results = [int(np.clip((b * r["multiplier"] + x * r["residual"] + (1 << r["shift"] - 1)) >> r["shift"], lo, hi))
                   for b, x, r in zip(biased, residual, records, strict=True)]
        self.writes[cycle + 3 + POST_PROCESS] = (
            1 | tag["second"] << 1, tag["dst"], tag["dst_second"], packed(results, 8), tag["to_weights"])


def make(config: AcceleratorConfig, gap: float, blocks: int) -> Schedule:
    """Blocks of pixels, each with its own parameters; raw ones apart from the others, as the sequencer keeps them."""
    rng = random.Random(int(10 * gap) + config.p_i)
    s = Schedule(config, rng)
    at = 0
    for block in range(blocks):
        pair, raw = config.pair_mode and rng.random() < 0.4, rng.random() < 0.3
        two = config.p_o > config.p_i
        at, records = s.parameters(at, block % PARAMETER_SLOTS, pair)
        count = rng.randrange(1, 12)
        for n in range(count):
            while rng.random() < gap:
                at += 1
            tag = {**_TAG, **{name: rng.getrandbits(ACT_ADDR_BITS - 8) for name in _ADDRESSES}, "valid": 1,
                   "emit": int(n == count - 1 or rng.random() < 0.8), "block_end": int(n == count - 1),
                   "second": int(two), "raw": int(raw), "residual": int(not raw and rng.random() < 0.5),
                   "to_weights": int(not raw and rng.random() < 0.2),
                   "lo": rng.choice([128, 0, 240]), "hi": rng.choice([127, 20])}
            s.pixel(at, records, tag)
            at += RAW_INTERVAL if raw else 1
        at += POST_PROCESS + 2 * RAW_INTERVAL if raw or rng.random() < 0.5 else 0
        if not raw:
            at += POST_PROCESS  # results out of the way of a raw block
    s.at(at + 2 * POST_PROCESS)
    return s


@pytest.mark.parametrize("config", [WORDS_2, WORDS_1], ids=["two words", "one word"])
@pytest.mark.parametrize("gap", [0.0, 0.4])
def test_blocks(config: AcceleratorConfig, gap: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template, "Instance",
                        lambda _, **ports: PlacedHere(Requantise(config=config), **ports))
    s = make(config, gap, 12)
    assert len({t["raw"] for t in s.tags.values()}) == 2
    assert s.requests
    dut = template.PostProcessor(config=config)
    layout = tag_layout(config)
    cycles: list[dict[str, Any]] = []
    for number, values in enumerate(s.cycles):
        fields = s.tags.get(number) or {**_TAG, "emit": s.rng.getrandbits(1), "residual": s.rng.getrandbits(1),
                                        "dst": s.rng.getrandbits(ACT_ADDR_BITS), "block_end": s.rng.getrandbits(1)}
        cycles.append({**values, "tag": layout.const(fields).as_bits()})
    names = ["write_valid", "write_addr0", "write_addr1", "write_data0", "write_data1", "to_weights",
             "parameters_taken", "residual"]
    seen = run_cycles(dut, cycles, names)
    word = (1 << 8 * config.p_i) - 1
    for number, found in enumerate(seen):
        assert bool(found["parameters_taken"]) == (number in s.taken), number
        valid, first, second = s.requests.get(number, (0, 0, 0))
        assert found["residual"] & 3 == valid, number
        if valid:
            assert found["residual"] >> 2 == first | second << ACT_ADDR_BITS
        valid, first, second, data, to_weights = s.writes.get(number, (0, 0, 0, 0, 0))
        assert found["write_valid"] == valid, number
        if not valid:
            continue
        assert (found["write_addr0"], found["write_data0"], found["to_weights"]) == (first, data & word, to_weights)
        if valid & 2:
            assert (found["write_addr1"], found["write_data1"]) == (second, data >> 8 * config.p_i & word), number
