"""The hand-off folder: everything an FPGA engineer needs, and nothing secret."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

import hwgen.driver
from hwgen.config.board import Board
from hwgen.config.system import SystemConfig
from hwgen.config.zynq import ZYNQ
from hwgen.driver.tensors import pack_input
from hwgen.handoff.annotate import annotate
from hwgen.handoff.archive import write_checksums
from hwgen.handoff.names import plain_text, safe_name, tcl_word
from hwgen.handoff.registers import WINDOW_BYTES, c_header, ip_xact, markdown

TOP = "hwgen_accelerator"


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What goes in.

    Args:
        model: name; board, system: of the build.
        verilog: of the accelerator; image: the model image's bytes; metadata: of the image.
        inputs: int8 [N, C, H, W]; expected: output tensor per frame; output: its name; classes: per frame.
        report: the figures; report_folder: with report.html and report.json.
    """

    model: str
    board: Board
    system: SystemConfig
    verilog: str
    image: bytes
    metadata: dict[str, Any]
    inputs: np.ndarray
    expected: list[np.ndarray]
    classes: list[int]
    labels: list[str]
    report: dict[str, Any]
    report_folder: Path


def write_handoff(folder: Path, c: Contents) -> None:
    """Fill ``folder``."""
    texts = Environment(loader=PackageLoader("hwgen.handoff", "templates"), undefined=StrictUndefined, trim_blocks=True,
                        lstrip_blocks=True, keep_trailing_newline=True, autoescape=False)
    # whatever others named goes through one of these
    texts.filters |= {"name": safe_name, "tcl": tcl_word, "plain": plain_text}
    config, ports = c.system.engine, c.system.ports
    values = {"model": c.model, "board": c.board, "config": config, "engines": c.system.engines, "top": TOP,
              "report": c.report, "ports": list(range(ports)), "frames": len(c.inputs), "classes": c.classes,
              "labels": c.labels, "metadata": c.metadata, "memory_ports": c.board.memory.ports[:ports],
              "register_bytes": WINDOW_BYTES << (c.system.engines - 1).bit_length(),
              "period_ns": round(1e3 / config.clock_mhz, 3), "system": c.board.processing_system,
              "zynq": ZYNQ.get(c.board.processing_system.kind),
              # absent from reports of older builds
              "weights": c.report["network"].get("weights", "unknown")}

    def text(name: str, template: str) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(texts.get_template(template).render(values), encoding="utf-8")

    (folder / "rtl").mkdir()
    (folder / "rtl" / f"{TOP}.v").write_text(annotate(c.verilog, c.system, TOP), encoding="utf-8")
    text("README.md", "README.md.j2")
    if c.board.flow == "vivado":
        text("vivado/package_ip.tcl", "package_ip.tcl.j2")
        text("vivado/create_project.tcl", "block_design.tcl.j2")
        text("vivado/clock.xdc", "clock.xdc.j2")
    else:
        text("yosys/synth.ys", "synth_ecp5.ys.j2")
    (folder / "registers").mkdir()
    (folder / "registers" / "hwgen_accelerator.h").write_text(c_header(), encoding="utf-8")
    (folder / "registers" / "hwgen_accelerator.xml").write_text(ip_xact(), encoding="utf-8")
    (folder / "registers" / "registers.md").write_text(markdown(), encoding="utf-8")
    (folder / "image").mkdir()
    (folder / "image" / "model.img").write_bytes(c.image)
    _driver(folder / "driver" / "python" / "hwgen_driver")
    text("driver/python/run_vectors.py", "run_vectors.py.j2")
    _vectors(folder / "vectors", c)
    for name in ("report.html", "report.json"):
        shutil.copy(c.report_folder / name, folder / name)
    write_checksums(folder)


def _driver(folder: Path) -> None:
    """The driver that also ran the simulation, file by file."""
    folder.mkdir(parents=True)
    source = Path(hwgen.driver.__file__).parent
    for file in sorted(source.glob("*.py")):
        shutil.copy(file, folder / file.name)


def _vectors(folder: Path, c: Contents) -> None:
    """Inputs as the accelerator reads them and as arrays; expected outputs as arrays."""
    folder.mkdir()
    for number, (tensor, expected) in enumerate(zip(c.inputs, c.expected, strict=True)):
        np.save(folder / f"input_{number}.npy", tensor)
        np.save(folder / f"expected_{number}.npy", expected)
        (folder / f"input_{number}.bin").write_bytes(pack_input(tensor, c.metadata["input"]))
