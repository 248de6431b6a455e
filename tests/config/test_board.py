"""Board files: all of ours load, and every kind of mistake is named with file and field."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwgen.config.accelerator import DspPacking
from hwgen.config.board import Resources, board_names, load_board
from hwgen.errors import HwgenError
from hwgen.resources import boards_dir

EXPECTED = ["kv260", "pynq-z2", "ultra96v2", "ulx3s-85f", "zcu102", "zcu104"]


def test_the_six_boards_are_there() -> None:
    assert board_names() == EXPECTED


@pytest.mark.parametrize("name", EXPECTED)
def test_board_loads_and_is_consistent(name: str) -> None:
    board = load_board(name)
    assert board.name == name
    assert board.latency_cycles >= 100
    assert board.memory.effective_gbps < board.memory.peak_gbps
    assert board.resources.dsp > 0
    assert board.to_dict()["bytes_per_cycle"] == board.bytes_per_cycle


def test_zcu104_is_the_contract() -> None:
    board = load_board("zcu104")
    assert board.resources == Resources(dsp=1728, bram36=312, uram=96, lut=230400, ff=460800)
    assert board.bytes_per_cycle == pytest.approx(40.0)
    assert (board.clock_mhz, board.latency_cycles, board.packing) == (300.0, 100, DspPacking.DSP48E2)


def test_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(HwgenError) as error:
        load_board("zcu014")
    assert "unknown board 'zcu014'" in str(error.value)
    assert "did you mean zcu104" in str(error.value)
    assert error.value.exit_code == 2


def test_missing_file_is_an_error() -> None:
    with pytest.raises(HwgenError, match=r"board file 'nowhere\.toml' does not exist"):
        load_board("nowhere.toml")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("dsp = 1728", "", "resources: field 'dsp' is missing"),
        ("dsp = 1728", "dsp = -4", r"resources.dsp: -4 is not possible"),
        ("dsp = 1728", "dsp = 1728\ndps = 3", "resources: unknown field 'dps'"),
        ('packing = "dsp48e2"', 'packing = "dsp58"', "dsp.packing: 'dsp58' is not possible"),
        ('family = "xcup"', 'family = "agilex"', "family: 'agilex' is not possible"),
        ("latency_cycles = 100", 'latency_cycles = "fast"', "memory.latency_cycles: 'fast' is not possible"),
        ("effective_gbps = 12.0", "effective_gbps = 30", "memory.effective_gbps: 30 is not possible"),
        ('name = "zcu104"', "name = ", "is not valid TOML"),
        ("[resources]", "[res]", "field 'resources' is missing"),
        ('clock = "chosen', 'klock = "chosen', "sources: field 'clock' is missing"),
        ('name = "zcu104"', 'name = "../../evil x"', "name: '../../evil x' is not possible"),
        ('name = "zcu104"', 'name = "a[exec touch pwned]"', "name: 'a[exec touch pwned]' is not possible"),
        ('name = "zcu104"', 'name = ""', "name: '' is not possible"),
        ('name = "zcu104"', 'name = "größe"', "name: 'größe' is not possible"),
        ('part = "xc', 'part = "$xc', "part: '$xc"),
        ('"S_AXI_HP1_FPD"', '"S AXI"', "memory.ports: 'S AXI' is not possible"),
        ('"S_AXI_HP1_FPD"', '"S_AXI_HP1"', "zynq_ultra_ps_e has no 'S_AXI_HP1'"),
        ('"S_AXI_HP1_FPD"', '"S_AXI_HP0_FPD"', "a port is named twice"),
        ("M_AXI_HPM0_FPD", "M_AXI_GP0", "processing_system.control_port: zynq_ultra_ps_e has no 'M_AXI_GP0'"),
        ('"pl_ps_irq0"', '""', "zynq_ultra_ps_e has no ''"),
        ('kind = "zynq_ultra_ps_e"', 'kind = "none"\nhost_link = "x"', "must name its memory controller"),
        ('kind = "zynq_ultra_ps_e"', 'kind = "none"', "must name its memory controller and host link"),
    ],
)
def test_every_mistake_names_file_and_field(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = (boards_dir() / "zcu104.toml").read_text()
    assert old in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(HwgenError) as error:
        load_board(path)
    assert message in str(error.value)
    assert str(path) in str(error.value)


def test_shortfall_names_the_binding_resource() -> None:
    need = Resources(dsp=100, bram36=412, uram=0, lut=1, ff=1)
    have = Resources(dsp=90, bram36=312, uram=0, lut=10, ff=10)
    assert need.shortfall(have) == ("bram36", 412, 312)
    assert have.shortfall(have) is None
