"""The modules that have formulas are those of the design, placed as often as the formulas say."""

from __future__ import annotations

import pytest

from hwgen.config.accelerator import AcceleratorConfig, RamStyle, WindowUnit
from hwgen.cost.arrays import ConfigTable
from hwgen.cost.modules import CRYPTO, MODULES, TOP, Sizes
from hwgen.cost.resources import LOGIC, calibration, module_logic
from hwgen.synth.hierarchy import Design
from rtl_templates.verilog import generate

CONFIG = AcceleratorConfig(p_i=8, p_o=16, line_columns=4, axi_ports=2, act_words=1024, weight_lines=1024,
                           weight_ram=RamStyle.BLOCK, window=WindowUnit.DEPTHWISE, window_width=64)


def _sizes(config: AcceleratorConfig = CONFIG, *, crypto: bool = True) -> Sizes:
    return Sizes(table=ConfigTable.of([config]), packing=config.packing, weights_ultra=False, crypto=crypto)


@pytest.fixture(scope="module")
def design() -> Design:
    return Design(generate(CONFIG, TOP), TOP)


@pytest.mark.parametrize("unit", MODULES, ids=lambda unit: unit.module)
def test_module_is_placed_as_often(unit, design: Design) -> None:
    assert unit.module in design.text
    assert unit.count(_sizes())[0] == design.placed(TOP)[design.content[unit.module]]


def test_without_crypto_its_modules_count_nothing() -> None:
    absent = {unit.module for unit in MODULES if unit.count(_sizes(crypto=False))[0] == 0}
    assert absent == set(CRYPTO)


@pytest.mark.parametrize("family", calibration()["families"])
def test_every_term_has_a_coefficient(family: str) -> None:
    fitted = calibration()["families"][family]
    names = {unit.module for unit in MODULES}
    assert set(fitted) <= names
    if family == "xcup":  # what the others lack is taken from here
        assert set(fitted) == names
    for unit in MODULES:
        if unit.module not in fitted:
            continue
        assert set(fitted[unit.module]) == set(LOGIC)
        for name in LOGIC:
            assert set(fitted[unit.module][name]) == set(unit.terms)
            assert min(fitted[unit.module][name].values()) >= 0


def test_without_a_window_unit_its_modules_count_nothing() -> None:
    def placed(window: WindowUnit) -> set[str]:
        sizes = _sizes(CONFIG.replace(window=window))
        return {unit.module for unit in MODULES if unit.count(sizes)[0]}

    only = {"hwgen_window_requantise"}
    assert placed(WindowUnit.DEPTHWISE) - placed(WindowUnit.POOL) == only
    assert placed(WindowUnit.POOL) - placed(WindowUnit.NONE) == {f"{TOP}.engine.window", "hwgen_window_lane"}


def test_logic_is_the_sum_of_the_terms() -> None:
    unit = next(unit for unit in MODULES if unit.module == "hwgen_load_channel.packer")
    fitted = {"lut": {"one": 10.0, "collected": 2.0, "halves": 5.0}}
    assert module_logic(unit, _sizes(), fitted, "lut")[0] == 10 + 2 * (2 * 32 - 16) + 5
