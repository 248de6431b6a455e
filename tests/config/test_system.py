"""A design of several engines: its numbers, its file form, what it refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.config.system import SystemConfig
from hwgen.errors import HwgenError
from hwgen.image.layout import config_fingerprint


def test_numbers() -> None:
    system = SystemConfig(engine=AcceleratorConfig(p_i=32, p_o=32, axi_ports=1), engines=3)
    assert system.ports == 3
    assert system.macs_per_cycle == 3 * 32 * 32


def test_file_form() -> None:
    system = SystemConfig(engine=AcceleratorConfig(p_i=16, p_o=32), engines=2)
    values = json.loads(json.dumps(system.to_dict()))
    assert SystemConfig.from_dict(values) == system
    assert values["p_i"] == 16
    assert SystemConfig.from_dict(AcceleratorConfig().to_dict()) == SystemConfig(engine=AcceleratorConfig())


def test_images_are_made_for_the_engine() -> None:
    """The fingerprint does not know how many engines there are."""
    one = SystemConfig.from_dict({"p_i": 16, "p_o": 32})
    two = SystemConfig.from_dict({"p_i": 16, "p_o": 32, "engines": 2})
    assert config_fingerprint(one.engine) == config_fingerprint(two.engine)


@pytest.mark.parametrize("engines", [0, -1, 9, True, 1.5, "2"])
def test_refusals(engines: Any) -> None:
    with pytest.raises(HwgenError, match=r"config\.engines"):
        SystemConfig.from_dict({"engines": engines})


def test_unknown_fields() -> None:
    with pytest.raises(HwgenError, match="unknown field 'engine'"):
        SystemConfig.from_dict({"engine": 2})
