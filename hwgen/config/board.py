"""An FPGA board: what it has, how its memory behaves and which tools build for it; read from ``boards/*.toml``."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwgen.config.accelerator import DspPacking
from hwgen.config.names import unknown_name
from hwgen.config.tables import Table, read_toml
from hwgen.config.zynq import ZYNQ
from hwgen.errors import HwgenError
from hwgen.resources import boards_dir

#: Vendor families that the resource estimate and the hand-off know.
FAMILIES = ("xcup", "xc7", "ecp5")
#: Kinds of processing systems with a block-design template; "none" for a bare FPGA.
PROCESSING_SYSTEMS = ("zynq_ultra_ps_e", "processing_system7", "none")
FLOWS = ("vivado", "yosys-nextpnr")
#: Groups of figures that must state where they come from.
SOURCED = ("part", "resources", "packing", "clock", "timing", "memory", "ports", "processing_system")


@dataclass(frozen=True, kw_only=True)
class Resources:
    """Amounts of the five kinds of logic. ``bram36`` counts 36 kbit blocks (an 18 kbit block is half of one)."""

    dsp: float
    bram36: float
    uram: float
    lut: float
    ff: float

    def to_dict(self) -> dict[str, float]:
        """JSON-ready fields."""
        return dataclasses.asdict(self)

    def share(self, parts: int) -> Resources:
        """One of ``parts`` equal parts."""
        return Resources(**{name: amount / parts for name, amount in self.to_dict().items()})

    def shortfall(self, have: Resources) -> tuple[str, float, float] | None:
        """The resource of which ``have`` offers relatively least: (name, needed, available); None if all suffice."""
        worst: tuple[float, str, float, float] | None = None
        for name, need in self.to_dict().items():
            available = getattr(have, name)
            if need > available:
                ratio = need / available if available else float("inf")
                if worst is None or ratio > worst[0]:
                    worst = (ratio, name, need, available)
        return worst[1:] if worst else None


@dataclass(frozen=True, kw_only=True)
class BoardMemory:
    """External memory as the accelerator sees it.

    Args:
        kind, capacity_mib: for people and the memory plan.
        peak_gbps: at the memory's pins.
        effective_gbps: what all ports and both directions together really move, GB/s = 10^9 bytes a second.
        latency_cycles: from the address to the first beat of data, in engine cycles.
        ports: names of the processing system's (or controller's) ports, in the order in which the engine uses them.
        port_bytes: bytes per beat of such a port.
        protocol: axi3 or axi4.
        controller: memory controller in the fabric, where the board needs one.
    """

    kind: str
    capacity_mib: int
    peak_gbps: float
    effective_gbps: float
    latency_cycles: int
    ports: tuple[str, ...]
    port_bytes: int
    protocol: str
    controller: str = ""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """What a path through the fabric is assumed to take, in ns; see ``hwgen.synth.clock``.

    Args:
        level_ns: a level of logic: a LUT (or a carry chain) and the net in front of it.
        register_ns: clock-to-output of the first register, setup of the last, skew and jitter, together.
        memory_ns: what a memory block that is read without its output register adds.
    """

    level_ns: float
    register_ns: float
    memory_ns: float


@dataclass(frozen=True, kw_only=True)
class ProcessingSystem:
    """The processor next to the fabric."""

    kind: str
    control_port: str  #: master that reaches the accelerator's registers
    interrupt_port: str
    control_address: int  #: address of the registers
    host_link: str = ""  #: how a host reaches the registers where there is no processor


@dataclass(frozen=True, kw_only=True)
class Board:
    """One board. ``packing``, ``clock_mhz`` and the memory are taken over by every configuration made for it."""

    name: str
    title: str
    part: str
    board_part: str
    family: str
    resources: Resources
    packing: DspPacking
    clock_mhz: float
    source_clock: str
    timing: Timing
    memory: BoardMemory
    processing_system: ProcessingSystem
    flow: str
    sources: dict[str, str]

    @property
    def bytes_per_cycle(self) -> float:
        """Effective memory bandwidth in bytes per engine cycle, all ports and both directions together."""
        return self.memory.effective_gbps * 1e3 / self.clock_mhz

    @property
    def latency_cycles(self) -> int:
        """Read latency of the memory in engine cycles."""
        return self.memory.latency_cycles

    @property
    def max_ports(self) -> int:
        """Memory ports the board offers."""
        return len(self.memory.ports)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready fields, with the derived bytes per cycle."""
        return {**dataclasses.asdict(self), "bytes_per_cycle": self.bytes_per_cycle}


def board_names() -> list[str]:
    """Names of the boards that come with hwgen."""
    return sorted(p.stem for p in boards_dir().glob("*.toml"))


def load_board(name_or_path: str | Path) -> Board:
    """Board by name, or from a TOML file (a path ends in .toml).

    Raises:
        HwgenError: unknown name (nearest names offered), unreadable file, missing, unknown or impossible field.
    """
    text = str(name_or_path)
    if text.endswith(".toml"):
        path = Path(text)
        if not path.is_file():
            raise HwgenError(f"board file {text!r} does not exist", hint="'hwgen boards' lists the boards by name")
        return _parse(path)
    known = board_names()
    if text not in known:
        raise unknown_name("board", text, known, hint="a path to a board file (*.toml) is accepted too")
    return _parse(boards_dir() / f"{text}.toml")


def _parse(path: Path) -> Board:
    top = Table(read_toml(path), str(path))
    res, dsp, clock = top.table("resources"), top.table("dsp"), top.table("clock")
    timing = top.table("timing")
    mem, ps, flow, src = top.table("memory"), top.table("processing_system"), top.table("flow"), top.table("sources")
    sources = src.strings()
    for group in SOURCED:
        if group not in sources:
            raise HwgenError(f"field {group!r} is missing", where=src.where,
                             hint="every group of figures states where it comes from")
    peak = mem.number("peak_gbps", low=0.001)
    board = Board(
        name=top.name("name"),
        title=top.text("title"),
        part=top.name("part"),
        board_part=top.name("board_part", default=""),
        family=top.text("family", choices=FAMILIES),
        resources=Resources(**{k: res.number(k) for k in ("dsp", "bram36", "uram", "lut", "ff")}),
        packing=DspPacking(dsp.text("packing", choices=[p.value for p in DspPacking])),
        clock_mhz=clock.number("engine_mhz", low=1, high=1000),
        source_clock=clock.name("source_clock"),
        timing=Timing(**{k: timing.number(k, low=0.01, high=100) for k in ("level_ns", "register_ns", "memory_ns")}),
        memory=BoardMemory(
            kind=mem.text("kind"),
            capacity_mib=mem.integer("capacity_mib", low=1),
            peak_gbps=peak,
            effective_gbps=mem.number("effective_gbps", low=0.001, high=peak),
            latency_cycles=mem.integer("latency_cycles", low=1, high=10000),
            ports=mem.names("ports"),
            port_bytes=mem.integer("port_bytes", low=4, high=64),
            protocol=mem.text("protocol", choices=("axi3", "axi4")),
            controller=mem.text("controller", default=""),
        ),
        processing_system=ProcessingSystem(
            kind=ps.text("kind", choices=PROCESSING_SYSTEMS),
            control_port=ps.name("control_port"),
            interrupt_port=ps.name("interrupt_port", default=""),
            control_address=ps.integer("control_address"),
            host_link=ps.text("host_link", default=""),
        ),
        flow=flow.text("tool", choices=FLOWS),
        sources=sources,
    )
    for table in (top, res, dsp, clock, timing, mem, ps, flow):
        table.close()
    if board.processing_system.kind == "none" and not (board.memory.controller and board.processing_system.host_link):
        raise HwgenError("a board without a processing system must name its memory controller and host link",
                         where=str(path), hint="set memory.controller and processing_system.host_link")
    _check_ports(board, str(path))
    return board


def _check_ports(board: Board, where: str) -> None:
    """The block design can only use ports that the processing system has."""
    system = ZYNQ.get(board.processing_system.kind)
    if system is None:
        if board.flow == "vivado":
            raise HwgenError("the vivado flow needs a processing system", where=f"{where}.processing_system.kind",
                             allowed=", ".join(ZYNQ))
        return
    ps = board.processing_system
    used = (("clock.source_clock", (board.source_clock,), system.clocks),
            ("memory.ports", board.memory.ports, system.memory),
            ("processing_system.control_port", (ps.control_port,), system.control),
            ("processing_system.interrupt_port", (ps.interrupt_port,), system.interrupts))
    for field, names, known in used:
        for name in names:
            if name not in known:
                raise HwgenError(f"{ps.kind} has no {name!r}", where=f"{where}.{field}", allowed=", ".join(known))
        if len(set(names)) < len(names):
            raise HwgenError("a port is named twice", where=f"{where}.{field}")
