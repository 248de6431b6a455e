"""Resource formulas: what follows from construction, exactly; the rest within its purpose."""

from __future__ import annotations

import numpy as np
import pytest

from hwgen.config.accelerator import AcceleratorConfig, DspPacking
from hwgen.config.board import Resources, load_board
from hwgen.cost.arrays import ConfigTable
from hwgen.cost.energy import energy_uj
from hwgen.cost.resources import block_rams, calibration, estimate, features


def _one(config: AcceleratorConfig, board: str = "zcu104") -> Resources:
    return estimate(ConfigTable.of([config]), load_board(board)).row(0)


def test_the_2048_mac_configuration_on_zcu104() -> None:
    found = _one(AcceleratorConfig())
    assert found.dsp == 1024 + 2 * 64
    assert found.uram == 96
    assert 140 <= found.bram36 <= 170
    assert found.shortfall(load_board("zcu104").resources) is None


@pytest.mark.parametrize(
    ("width", "depth", "blocks"),
    [(72, 512, 1), (36, 512, 0.5), (36, 1024, 1), (128, 2048, 7.5), (1728, 512, 24), (9, 4096, 1), (256, 4096, 28.5)],
)
def test_block_rams(width: int, depth: int, blocks: float) -> None:
    assert block_rams(np.array([width]), np.array([depth]))[0] == blocks


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
def test_logic_of_a_decryptor_by_its_rounds(bits: int) -> None:
    configs = [AcceleratorConfig(axi_ports=2, aes_key_bits=bits, aes_cycles=n) for n in (1, 2, 5)]
    found = estimate(ConfigTable.of(configs), load_board("zcu104"), key_bits=bits)
    rounds = np.array([c.aes_rounds for c in configs])
    per_round = calibration()["crypto"][str(bits)]["lut_round"]
    assert found.lut[0] - found.lut == pytest.approx(2 * per_round * (rounds[0] - rounds))
    assert found.ff[0] > found.ff[1] > found.ff[2]


def test_activations_in_ultraram() -> None:
    table = ConfigTable.of([AcceleratorConfig()])
    moved = estimate(ConfigTable(**{**vars(table), "act_ultra": np.array([1])}), load_board("zcu104")).row(0)
    assert moved.uram == 96 + 16
    assert moved.bram36 < _one(AcceleratorConfig()).bram36


def test_calibration_covers_every_feature() -> None:
    names = set(features(ConfigTable.of([AcceleratorConfig()]), DspPacking.DSP48E2))
    for key, coefficients in calibration()["logic"].items():
        assert set(coefficients) == names, key


def test_energy_grows_with_everything() -> None:
    def energy(**changes: float) -> float:
        values = {"macs": 1e8, "dram_bytes": 1e6, "cycles": 1e5, "clock_mhz": 300.0, "lut": 1e5} | changes
        arrays = {k: np.array([v]) if k in ("dram_bytes", "cycles", "lut") else v for k, v in values.items()}
        return float(energy_uj(**arrays)[0])  # pyright: ignore[reportArgumentType]

    base = energy()
    assert all(energy(**{k: 2 * v}) > base for k, v in {"macs": 1e8, "dram_bytes": 1e6, "cycles": 1e5}.items())
