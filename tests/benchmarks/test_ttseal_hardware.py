"""What a set of encrypted cores costs: shares and table."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.config.system import SystemConfig

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def benchmark() -> Iterator[ModuleType]:
    sys.path.insert(0, str(BENCHMARKS))
    try:
        yield import_module("ttseal_hardware")
    finally:
        sys.path.remove(str(BENCHMARKS))


def test_less_of_aes_takes_less_of_the_design(benchmark: ModuleType) -> None:
    whole, part = (benchmark.hardware("zcu104", SystemConfig(engine=AcceleratorConfig(aes_cycles=n)), None)
                   for n in (1, 5))
    assert whole.lut - part.lut == pytest.approx(whole.decryptor_lut - part.decryptor_lut)
    assert whole.lut > part.lut
    assert 0 < part.area_share < whole.area_share < 1
    assert whole.added_share is None and "not simulated" in benchmark.table({"all": whole})


def test_cycles_come_from_the_report(benchmark: ModuleType) -> None:
    report = {"cycles": {"measured": 1010}, "encryption": {"cycles_added": 10}}
    found = benchmark.hardware("zcu104", SystemConfig(engine=AcceleratorConfig()), report)
    assert found.added_share == 0.01
    assert "| 1,010 | +10 (1.00 %) |" in benchmark.table({"all": found})
