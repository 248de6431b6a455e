"""The hand-off of a small build: complete, checkable, scripts that Tcl understands, and a driver that works alone."""

from __future__ import annotations

import hashlib
import json
import py_compile
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from hwgen.config.board import board_names
from hwgen.handoff.archive import write_archive
from tests.helpers.small_build import build_small

#: Vivado's commands as far as the scripts use them; anything else is an unknown command and fails
_VIVADO = (
    "create_project read_verilog set_property current_fileset update_compile_order ipx::package_project "
    "ipx::current_core ipx::infer_bus_interface ipx::add_bus_parameter ipx::get_bus_interfaces "
    "ipx::associate_bus_interfaces ipx::create_xgui_files ipx::update_checksums ipx::check_integrity "
    "ipx::save_core current_project update_ip_catalog create_bd_design create_bd_cell apply_bd_automation "
    "get_bd_pins connect_bd_net get_bd_intf_pins connect_bd_intf_net assign_bd_address get_bd_addr_segs "
    "get_bd_addr_spaces validate_bd_design save_bd_design make_wrapper get_files create_clock get_ports "
    "launch_runs wait_on_run report_timing_summary report_utilization write_hw_platform "
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("handoff")
    build_small(root)
    return root / "build" / "handoff"


def test_contents(folder: Path) -> None:
    names = {str(p.relative_to(folder / "files")) for p in (folder / "files").rglob("*") if p.is_file()}
    assert {
        "README.md", "rtl/hwgen_accelerator.v", "vivado/package_ip.tcl", "vivado/create_project.tcl",
        "vivado/clock.xdc", "registers/hwgen_accelerator.h", "registers/hwgen_accelerator.xml", "image/model.img",
        "report.html", "report.json", "driver/python/hwgen_driver/accelerator.py", "driver/python/run_vectors.py",
        "vectors/input_0.npy", "vectors/input_0.bin", "vectors/expected_1.npy", "SHA256SUMS",
    } <= names


def test_checksums(folder: Path) -> None:
    for line in (folder / "files" / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((folder / "files" / name).read_bytes()).hexdigest() == digest


def test_archive_equals_the_folder_and_is_reproducible(folder: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(folder / "handoff.zip") as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert all(n.startswith("small-pynq-z2/") for n in names)
        assert len(names) == sum(p.is_file() for p in (folder / "files").rglob("*"))
    write_archive(folder / "files", tmp_path / "again.zip", "small-pynq-z2")
    assert (tmp_path / "again.zip").read_bytes() == (folder / "handoff.zip").read_bytes()


def _run_tcl(script: Path) -> list[str]:
    """Run a Vivado script in a plain Tcl interpreter in which Vivado's commands only record their names."""
    tkinter = pytest.importorskip("tkinter")
    tcl = tkinter.Tcl()
    calls: list[str] = []
    for name in _VIVADO.split():
        if "::" in name:
            tcl.eval(f"namespace eval {name.split('::')[0]} {{}}")

        def record(*arguments: str, name: str = name) -> str:
            calls.append(" ".join((name, *arguments)))
            return name

        tcl.createcommand(name, record)
    tcl.eval("set argv {build}")
    tcl.eval(f"source {{{script}}}")
    return calls


@pytest.mark.parametrize("name", ["package_ip.tcl", "create_project.tcl", "clock.xdc"])
def test_scripts_run_in_tcl(folder: Path, name: str) -> None:
    calls = _run_tcl(folder / "files" / "vivado" / name)
    assert calls


@pytest.mark.parametrize("board", [b for b in board_names() if b != "ulx3s-85f"])
def test_block_design_of_every_board(tmp_path: Path, board: str) -> None:
    build_small(tmp_path, board=board)
    report = json.loads((tmp_path / "build" / "report.json").read_text())
    calls = _run_tcl(tmp_path / "build/handoff/files/vivado/create_project.tcl")
    ports = report["config"]["axi_ports"]
    text = "\n".join(calls)
    for port in range(ports):
        assert f"hwgen_accelerator_0/m_axi_{port}" in text
    assert f"hwgen_accelerator_0/m_axi_{ports}" not in text
    assert "hwgen_accelerator_0/irq" in text
    assert "hwgen_accelerator_0/s_axil" in text
    package = "\n".join(_run_tcl(tmp_path / "build/handoff/files/vivado/package_ip.tcl"))
    assert f"m_axi_{ports - 1}" in package


def test_board_without_processing_system(tmp_path: Path) -> None:
    build_small(tmp_path, board="ulx3s-85f")
    files = tmp_path / "build/handoff/files"
    assert (files / "yosys" / "synth.ys").is_file()
    assert not (files / "vivado").exists()
    readme = (files / "README.md").read_text()
    assert "LiteDRAM" in readme
    assert "AXI4-Lite bridge" in readme


def test_readme_says_that_nothing_was_proven(folder: Path) -> None:
    text = (folder / "files" / "README.md").read_text()
    assert "has not been verified" in text
    assert "{{" not in text


def test_driver_parses_the_image_without_hwgen(folder: Path) -> None:
    program = ("import sys; from hwgen_driver import Image; image = Image.load(sys.argv[1]); "
               "assert 'hwgen' not in sys.modules; print(image.metadata['model'])")
    done = subprocess.run([sys.executable, "-c", program, str(folder / "files/image/model.img")], check=False,
                          cwd=folder / "files/driver/python", capture_output=True, text=True,
                          env={"PYTHONPATH": "", "PATH": ""})
    assert done.stdout.strip() == "small", done.stderr
    py_compile.compile(str(folder / "files/driver/python/run_vectors.py"), doraise=True)


def test_vectors_are_the_builds(folder: Path) -> None:
    inputs = np.load(folder.parent / "vectors" / "inputs.npy")
    assert np.array_equal(np.load(folder / "files/vectors/input_1.npy"), inputs[1])
    assert np.load(folder / "files/vectors/expected_0.npy").dtype == np.int32
