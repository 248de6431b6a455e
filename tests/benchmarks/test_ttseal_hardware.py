"""What a set of encrypted cores costs: shares and table."""

from __future__ import annotations

from types import ModuleType

import pytest

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.config.system import SystemConfig
from tests.helpers.benchmarks import script

ttseal_hardware = script("ttseal_hardware")


def test_less_of_aes_takes_less_of_the_design(ttseal_hardware: ModuleType) -> None:
    whole, part = (ttseal_hardware.hardware("zcu104", SystemConfig(engine=AcceleratorConfig(aes_cycles=n)), None)
                   for n in (1, 5))
    assert whole.lut - part.lut == pytest.approx(whole.decryptor_lut - part.decryptor_lut)
    assert whole.lut > part.lut
    assert 0 < part.area_share < whole.area_share < 1
    assert whole.added_share is None and "not simulated" in ttseal_hardware.table({"all": whole})


def test_cycles_come_from_the_report(ttseal_hardware: ModuleType) -> None:
    report = {"cycles": {"measured": 1010}, "encryption": {"cycles_added": 10}}
    found = ttseal_hardware.hardware("zcu104", SystemConfig(engine=AcceleratorConfig()), report)
    assert found.added_share == 0.01
    assert "| 1,010 | +10 (1.00 %) |" in ttseal_hardware.table({"all": found})
