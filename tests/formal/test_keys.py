"""No key bit reaches a bus: two accelerators with different keys cannot be told apart (see docs/security.md)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rtl_templates.shell.register_model import register_map
from rtl_templates.shell.registers import RegisterFile
from tests.formal.generated import CHANNEL, PROTECTED, TOP, design, inside, mutated, states
from tests.formal.properties import pair
from tests.formal.sby import check, flatten

pytestmark = pytest.mark.slow

#: the boot salt is no secret
KEYS = [register.address for register in register_map() if register.external and not register.protection]
DERIVED = r"(round_keys|h_powers|aad_base)"


def is_key(address: str) -> str:
    """Whether a byte address is that of a key register."""
    return f"({address} >= {KEYS[0]} && {address} < {KEYS[-1] + 4})"


def shell(verilog: str, folder: Path, depth: int, mode: str = "prove", protected: bool = False) -> str:
    """Registers and key manager; of the rest of the accelerator only what it reads is of interest."""
    rest = ("engine", "program", "load", "store", "fetch_load", "fetch_store", "fetch_compute", "lines", "words",
            "programs", "scrubber", "writer", "frame")
    own: list[str] = []
    external = "{a:registers.external}[12:0] == {b:registers.external}[12:0]"  # valid, address
    if protected:
        external += " && " + is_key("{a:registers.external}[12:1]")  # what goes into the boot salt is the same
        rest += ("sealer",)
        derived = r"(base|factor|h|partial|powers|round_keys|subkey|aes\.window|aes\.o)"
        own = [rf"keys\.spill\.{derived}", rf"channel_0\.row_keys__{DERIVED}",
               r"sealer\.(keys__round_keys|keys__h_powers|port\$\d+\$0)"]
    dut = flatten(verilog, TOP, [*inside(*rest), CHANNEL], folder / "dut")
    writing = states(RegisterFile(), "write")["STORE"]
    chosen = "\n".join(
        f"    assert (!{{a:registers.write_{name}}} || {{a:registers.write_state}} == {writing}"
        f" && {{a:registers.address}}[11:2] == {register.address >> 2});"
        for register in register_map(protected) if f"registers.write_{(name := register.name.lower())}" in dut.outputs)
    top = pair(
        dut, secret=["s_axil_wdata"],
        hidden=[r"keys\.master",
                r"keys\.derivation\.(base|factor|h|partial|powers|round_keys|subkey|aes\.window|aes\.o)",
                rf"channel_0\.keys__{DERIVED}", *own],
        conditions={"registers.word": is_key("{a:registers.address}"),
                    "registers.offered": "!{a:registers.offer}",
                    "registers.external": external},
        text=f"  always @* begin\n    assume ({{a:s_axil_wdata}} == {{b:s_axil_wdata}}"
             f" || {is_key('{a:s_axil_awaddr}')});\n{chosen}\n  end")
    return check(dut, top, folder / "proof", depth=depth, mode=mode)


def channel(verilog: str, folder: Path, protected: bool = False) -> str:
    """A load channel: what is derived from the key goes to its segment unit and nowhere else."""
    parts = [f"{CHANNEL}.{name}" for name in ("unit", "master", "packer", "headers", "sources", "targets")]
    dut = flatten(verilog, CHANNEL, parts, folder / "dut")
    secret, hidden = [rf"keys__{DERIVED}"], [r"unit\.(keys__aad_base|round_keys|h_powers)"]
    if protected:
        secret, hidden = [rf"(row_)?keys__{DERIVED}"], [rf"unit\.keys__{DERIVED}(\$\d+)?"]
    top = pair(dut, secret=secret, hidden=hidden)
    return check(dut, top, folder / "proof", depth=1)


def segment_unit(verilog: str, folder: Path, depth: int = 1, mode: str = "prove") -> str:
    """AES-GCM: of what it drives, only plaintext and verdict depend on the key; when it drives them does not.

    Key stream and hash are arbitrary, and so are the rounds of AES.
    """
    unit = f"{CHANNEL}.unit"
    rounds = [f"{unit}.core.aes.round_{number}" for number in (1, 2)]
    data = ("core.keystream.o__payload", "core.ghash.total")
    dut = flatten(verilog, unit, rounds, folder / "dut", free=data)
    beats = ("out__payload", "core.engine.plain.o__payload", "core.engine.plain.spare")
    verdicts = ("status__payload", "core.engine.result.o__payload", "core.engine.result.spare")
    top = pair(
        dut, secret=["keys__aad_base", "round_keys", "h_powers", *map(re.escape, data)],
        hidden=[r"core\.engine\.expected"],
        # all but the data of a beat of plaintext; all but whether a tag is right
        conditions={**{name: f"{{a:{name}}}[128] == {{b:{name}}}[128]" for name in beats},
                    **{name: f"{{a:{name}}}[32:1] == {{b:{name}}}[32:1]" for name in verdicts}})
    return check(dut, top, folder / "proof", depth=depth, mode=mode)


def test_registers_and_every_other_bus(tmp_path: Path) -> None:
    assert shell(design(), tmp_path, depth=1) == "PASS"


def test_registers_with_a_second_key(tmp_path: Path) -> None:
    assert shell(design(PROTECTED), tmp_path, depth=1, protected=True) == "PASS"


def test_a_readable_key_register_is_found(tmp_path: Path) -> None:
    port = "  output [31:0] s_axil_rdata;\n"
    fault = mutated(design(), TOP, (port, port + "  wire [31:0] leak;\n"),
                    (".bus__rdata(s_axil_rdata)", ".bus__rdata(leak)"),
                    ("  assign bus__rdata = s_axil_rdata;\n", "  assign s_axil_rdata = leak | external[44:13];\n"))
    assert shell(fault, tmp_path, depth=7, mode="bmc") == "FAIL"


def test_load_channel(tmp_path: Path) -> None:
    assert channel(design(), tmp_path) == "PASS"


def test_load_channel_with_rows(tmp_path: Path) -> None:
    assert channel(design(PROTECTED), tmp_path, protected=True) == "PASS"


def test_segment_unit(tmp_path: Path) -> None:
    assert segment_unit(design(), tmp_path) == "PASS"


def test_a_rate_that_depends_on_the_key_is_found(tmp_path: Path) -> None:
    fault = mutated(design(), f"{CHANNEL}.unit", (".data__ready(data__ready)", ".data__ready(ready)"),
                    ("  wire data__ready;\n", "  wire data__ready;\n  wire ready;\n"),
                    (" = data__ready;\n", " = ready;\n  assign data__ready = ready | round_keys[0];\n"))
    assert segment_unit(fault, tmp_path, depth=2, mode="bmc") == "FAIL"
