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

from hwgen.config.accelerator import AcceleratorConfig, RamStyle
from hwgen.config.board import board_names, load_board
from hwgen.config.system import SystemConfig
from hwgen.driver.image import Image
from hwgen.errors import HwgenError
from hwgen.handoff.archive import write_archive
from hwgen.handoff.folder import Contents, write_handoff
from hwgen.pipeline.steps.search import load_system
from hwgen.resources import boards_dir
from tests.helpers.small_build import build_small, small_onnx

#: Vivado's commands as far as the scripts use them; anything else is an unknown command and fails
_VIVADO = (
    "create_project read_verilog set_property current_fileset update_compile_order ipx::package_project "
    "ipx::current_core ipx::infer_bus_interface ipx::add_bus_parameter ipx::get_bus_interfaces "
    "ipx::associate_bus_interfaces ipx::create_xgui_files ipx::update_checksums ipx::check_integrity "
    "ipx::save_core current_project update_ip_catalog create_bd_design create_bd_cell apply_bd_automation "
    "get_bd_pins connect_bd_net get_bd_intf_pins connect_bd_intf_net assign_bd_address get_bd_addr_segs "
    "get_bd_addr_spaces validate_bd_design save_bd_design make_wrapper get_files create_clock get_ports "
    "get_property get_bd_cells "
    "launch_runs wait_on_run open_run report_timing_summary report_utilization write_hw_platform "
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
    tkinter = pytest.importorskip("tkinter", reason="Python without Tcl (Debian: python3-tk); it cannot come from PyPI")
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
    assert text.index("interrupts/s_axi") > text.index("set_property offset")  # keeps off the registers' address
    assert "hwgen_accelerator_0/s_axil" in text
    package = "\n".join(_run_tcl(tmp_path / "build/handoff/files/vivado/package_ip.tcl"))
    assert f"m_axi_{ports - 1}" in package


def test_several_engines(tmp_path: Path) -> None:
    """Every port of every engine is connected, registers have their room, the driver gets all engines."""
    engine = AcceleratorConfig(p_i=8, p_o=16, acc_depth=128, act_words=1024, weight_lines=1024, axi_ports=1,
                               weight_ram=RamStyle.BLOCK, packing=load_board("zcu104").packing)
    (tmp_path / "three.json").write_text(json.dumps(SystemConfig(engine=engine, engines=3).to_dict()))
    build_small(tmp_path, board="zcu104", config=tmp_path / "three.json")
    files = tmp_path / "build/handoff/files"
    calls = _run_tcl(files / "vivado/create_project.tcl")
    text = "\n".join(calls)
    for port in range(3):
        assert f"ps/S_AXI_HP{port}_FPD" in (files / "vivado/create_project.tcl").read_text()
        assert f"hwgen_accelerator_0/m_axi_{port}" in text
    assert "hwgen_accelerator_0/m_axi_3" not in text
    assert any(call.startswith("set_property range 16K") for call in calls)
    package = "\n".join(_run_tcl(files / "vivado/package_ip.tcl"))
    assert "m_axi_2" in package
    assert "m_axi_3" not in package
    readme = (files / "README.md").read_text()
    assert readme.splitlines()[2].startswith("3 accelerators side by side")
    assert "16 KiB" in readme
    report = json.loads((files / "report.json").read_text())
    assert report["config"]["engines"] == 3
    single = report["search"]["front"][0]["resources"]["dsp"] / 3
    assert single == engine.p_i * engine.p_o / 2 + 2 * engine.p_o


def test_more_ports_than_the_board_has(tmp_path: Path) -> None:
    system = SystemConfig(engine=AcceleratorConfig(p_i=8, p_o=16, axi_ports=2, weight_lines=1024), engines=3)
    (tmp_path / "three.json").write_text(json.dumps(system.to_dict()))
    with pytest.raises(HwgenError, match="3 engines need 6 memory ports, zcu104 has 4"):
        build_small(tmp_path, board="zcu104", config=tmp_path / "three.json", last="search")


def test_ports_are_those_of_the_board_file(tmp_path: Path) -> None:
    """And names that would be commands in Tcl, Python or Markdown are only names."""
    text = (boards_dir() / "zcu104.toml").read_text()
    for old, new in (('name = "zcu104"', 'name = "mine"'), ('title = "', 'title = "[exit]\\n[exit] \\"\\"\\" `x` '),
                     ('"S_AXI_HP0_FPD", "S_AXI_HP1_FPD", "S_AXI_HP2_FPD", "S_AXI_HP3_FPD"',
                      '"S_AXI_HPC1_FPD", "S_AXI_HP3_FPD"'),
                     ("M_AXI_HPM0_FPD", "M_AXI_HPM1_FPD"), ("pl_ps_irq0", "pl_ps_irq1"), ("pl_clk0", "pl_clk2")):
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "mine.toml").write_text(text)
    model = small_onnx(tmp_path / "3 net[exit]$x ö.onnx")
    build_small(tmp_path, board=str(tmp_path / "mine.toml"), model=str(model))
    files = tmp_path / "build/handoff/files"
    calls = _run_tcl(files / "vivado/create_project.tcl")
    settings = next(c for c in calls if "PSU__USE__M_AXI_GP0" in c)
    for wanted in ("M_AXI_GP0 0", "M_AXI_GP1 1", "M_AXI_GP2 0", "S_AXI_GP1 1", "IRQ1 1"):
        assert f"CONFIG.PSU__USE__{wanted}" in settings
    assert "PSU__CRL_APB__PL2_REF_CTRL__FREQMHZ" in settings
    assert "S_AXI_GP2" not in settings
    script = (files / "vivado/create_project.tcl").read_text()
    for pin in ("ps/saxihpc1_fpd_aclk", "ps/S_AXI_HPC1_FPD", "ps/maxihpm1_fpd_aclk", "ps/M_AXI_HPM1_FPD", "ps/pl_clk2",
                "ps/pl_ps_irq1"):
        assert f"{pin}]" in script
    assert calls[0].startswith("create_project n_3_net_exit_x_o ")
    assert any("hwgen accelerator: 3 net[exit]$x ö" in c for c in _run_tcl(files / "vivado/package_ip.tcl"))
    assert _run_tcl(files / "vivado/clock.xdc")
    py_compile.compile(str(files / "driver/python/run_vectors.py"), doraise=True)
    assert (files / "README.md").read_text().startswith("# 3 net exit x ö on exit exit")
    with zipfile.ZipFile(tmp_path / "build/handoff/handoff.zip") as archive:
        assert all(n.startswith("n_3_net_exit_x_o-mine/") for n in archive.namelist())


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


@pytest.mark.parametrize(("weights", "words"), [
    ("seeded", "random, not trained"), ("user", "were given to"), ("trained", "the trained ones"),
    (None, "is not recorded"),
])
def test_readme_says_whether_the_weights_are_trained(folder: Path, tmp_path: Path, weights: str | None,
                                                     words: str) -> None:
    steps = folder.parent
    report = json.loads((steps / "report.json").read_text())
    report["network"].pop("weights", None)
    if weights is not None:
        report["network"]["weights"] = weights
    inputs = np.load(steps / "vectors" / "inputs.npy")
    image = (steps / "seal" / "model.img").read_bytes()
    write_handoff(tmp_path, Contents(
        model="small", board=load_board("pynq-z2"), system=load_system(steps / "search"), verilog="", image=image,
        metadata=Image.parse(image, "model.img").metadata, inputs=inputs, expected=list(inputs), classes=[0, 1],
        labels=[], report=report, report_folder=steps / "report"))
    text = " ".join((tmp_path / "README.md").read_text().split())
    assert words in text
    assert ("mean nothing" in text) == (weights == "seeded")


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
