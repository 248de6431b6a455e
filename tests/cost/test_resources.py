"""Resource formulas: what follows from construction, exactly; the rest within its purpose."""

from __future__ import annotations

import numpy as np
import pytest

from hwgen.config.accelerator import AcceleratorConfig, DspPacking, WindowUnit
from hwgen.config.board import Resources, load_board
from hwgen.config.system import SystemConfig
from hwgen.cost.arrays import ConfigTable
from hwgen.cost.energy import energy_uj
from hwgen.cost.memories import block_rams, block_rows, ultra_rams
from hwgen.cost.resources import coefficients_source, estimate


def _one(config: AcceleratorConfig | SystemConfig, board: str = "zcu104") -> Resources:
    return estimate(ConfigTable.of([config]), load_board(board)).row(0)


def test_the_2048_mac_configuration_on_zcu104() -> None:
    found = _one(AcceleratorConfig())
    assert found.dsp == 1024 + 2 * 64
    assert found.uram == 96
    assert 140 <= found.bram36 <= 170
    assert found.shortfall(load_board("zcu104").resources) is None


def test_protection_adds_a_unit_per_port_and_one_that_encrypts() -> None:
    def lut(**changes: object) -> float:
        return _one(AcceleratorConfig(**changes)).lut  # type: ignore[arg-type]

    with_two, with_three = (lut(axi_ports=ports, protect_activations=True) - lut(axi_ports=ports) for ports in (2, 3))
    unit = with_three - with_two  # of one port, as large as the decryptor beside it
    assert unit == pytest.approx(lut(axi_ports=3) - lut(axi_ports=2), rel=0.2)
    assert 3 * unit < with_two < 3 * unit + 5000
    assert lut(protect_activations=True, spill_aes_cycles=5) < lut(protect_activations=True)
    assert lut(spill_aes_cycles=5) == lut()


@pytest.mark.parametrize(
    ("width", "depth", "blocks"),
    [(72, 512, 1), (36, 512, 0.5), (36, 1024, 1), (128, 2048, 7.5), (1728, 512, 24), (9, 4096, 1), (256, 4096, 28.5)],
)
def test_block_rams(width: int, depth: int, blocks: float) -> None:
    assert block_rams(np.array([width]), np.array([depth]))[0] == blocks


@pytest.mark.parametrize(("width", "depth", "rows"), [(72, 512, 1), (256, 4096, 1), (256, 6144, 3), (128, 10240, 5)])
def test_blocks_below_one_another(width: int, depth: int, rows: int) -> None:
    assert block_rows(np.array([width]), np.array([depth]))[0] == rows


@pytest.mark.parametrize(("width", "depth", "blocks"), [(72, 4096, 1), (73, 4096, 2), (64, 4097, 2), (256, 24576, 24)])
def test_ultra_rams(width: int, depth: int, blocks: int) -> None:
    assert ultra_rams(np.array([width]), np.array([depth]))[0] == blocks


def test_two_products_per_dsp_only_where_they_fit() -> None:
    assert _one(AcceleratorConfig(p_i=16, p_o=16)).dsp == 128 + 32
    unpacked = AcceleratorConfig(p_i=8, p_o=8, packing=DspPacking.NONE, axi_ports=1)
    assert _one(unpacked, "ulx3s-85f").dsp >= 64 + 16


def test_crypto_costs_logic_per_port() -> None:
    table = ConfigTable.of([AcceleratorConfig(axi_ports=n) for n in (1, 2)])
    board = load_board("zcu104")
    with_unit, without = estimate(table, board), estimate(table, board, crypto=False)
    added = with_unit.lut - without.lut
    assert added[1] > added[0] > 1000


@pytest.mark.parametrize("bits", [128, 256])
def test_a_decryptor_with_fewer_rounds_is_smaller(bits: int) -> None:
    configs = [AcceleratorConfig(axi_ports=2, aes_key_bits=bits, aes_cycles=n) for n in (1, 2, 5)]
    found = estimate(ConfigTable.of(configs), load_board("zcu104"), key_bits=bits)
    assert found.lut[0] > found.lut[1] > found.lut[2]
    assert found.ff[0] > found.ff[1] > found.ff[2]


def test_the_window_unit_has_a_multiplier_per_tap_and_lane() -> None:
    none = AcceleratorConfig(p_i=16, p_o=16)
    with_unit = none.replace(window=WindowUnit.DEPTHWISE, window_kernel=3, window_width=512)
    assert _one(with_unit).dsp - _one(none).dsp == 16 * (9 + 1)
    # two older rows of 128 bits side by side, and the queue of lines of 512 bits
    assert _one(with_unit).bram36 - _one(none).bram36 == 4 + 7.5
    assert _one(none.replace(window=WindowUnit.POOL)).dsp == _one(none).dsp
    assert _one(with_unit).lut > _one(none.replace(window=WindowUnit.POOL)).lut > _one(none).lut


def test_engines_stand_side_by_side() -> None:
    one, two = (_one(SystemConfig(engine=AcceleratorConfig(p_i=16, p_o=16), engines=n)) for n in (1, 2))
    assert two.to_dict() == pytest.approx({k: 2 * v for k, v in one.to_dict().items()}, abs=0.2)


def test_activations_in_ultraram() -> None:
    table = ConfigTable.of([AcceleratorConfig()])
    moved = estimate(ConfigTable(**{**vars(table), "act_ultra": np.array([1])}), load_board("zcu104")).row(0)
    assert moved.uram == 96 + 16
    assert moved.bram36 < _one(AcceleratorConfig()).bram36


def test_weights_in_block_ram_without_ultraram() -> None:
    config = AcceleratorConfig(weight_lines=4096)
    assert _one(config, "zcu104").uram == 16
    there = _one(config, "zcu102")
    assert there.uram == 0
    assert there.bram36 == _one(config, "zcu104").bram36 + 4 * 28.5


def test_more_of_anything_takes_more() -> None:
    small = AcceleratorConfig(p_i=16, p_o=16, line_columns=2, axi_ports=1, acc_bits=24)
    least = _one(small)
    for changes in ({"p_o": 32}, {"line_columns": 8}, {"axi_ports": 2}, {"acc_bits": 30}):
        more = _one(small.replace(**changes))
        assert more.lut > least.lut, changes
        assert more.ff > least.ff, changes
    assert least.lut > 10_000


def test_source_of_the_coefficients_is_named() -> None:
    assert "Yosys" in coefficients_source("xcup")
    assert coefficients_source("unheard-of").startswith("not calibrated for unheard-of")


def test_energy_grows_with_everything() -> None:
    def energy(**changes: float) -> float:
        values = {"macs": 1e8, "dram_bytes": 1e6, "cycles": 1e5, "clock_mhz": 300.0, "lut": 1e5} | changes
        arrays = {k: np.array([v]) if k in ("dram_bytes", "cycles", "lut") else v for k, v in values.items()}
        return float(energy_uj(**arrays)[0])  # pyright: ignore[reportArgumentType]

    base = energy()
    assert all(energy(**{k: 2 * v}) > base for k, v in {"macs": 1e8, "dram_bytes": 1e6, "cycles": 1e5}.items())
