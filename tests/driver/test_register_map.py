"""What is generated from the register description is up to date, and the driver needs nothing but numpy."""

import ast
import re
from pathlib import Path

from hwgen.driver.errors import MESSAGES
from hwgen.handoff.registers import c_header, ip_xact, markdown, python_map
from rtl_templates.shell.error_codes import ErrorCode
from rtl_templates.shell.register_model import register_map

ROOT = Path(__file__).resolve().parents[2]
DRIVER = ROOT / "hwgen" / "driver"


def test_files_in_the_repository():
    assert (DRIVER / "register_map.py").read_text() == python_map()
    assert (ROOT / "docs" / "registers.md").read_text() == markdown()


def test_every_error_has_a_message():
    assert set(MESSAGES) == {int(code) for code in ErrorCode} - {0}


def test_c_header_and_ip_xact_name_every_register():
    header, component = c_header(), ip_xact()
    for register in register_map():
        base = re.sub(r"_\d+$", "", register.name)
        assert base in header and base in component
    assert "#define HWGEN_WINDOW_BYTES 0x1000" in header


def test_registers_do_not_overlap():
    addresses = [register.address for register in register_map()]
    assert len(set(addresses)) == len(addresses) and max(addresses) < 1 << 12


def test_the_driver_ships_alone():
    for file in DRIVER.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name.split(".")[0] for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [(node.module or "").split(".")[0]]
            else:
                continue
            allowed = {"__future__", "asyncio", "collections", "dataclasses", "json", "numpy", "os", "pathlib", "pynq",
                       "struct", "time", "typing", "zlib"}
            assert set(names) <= allowed, (file.name, names)
