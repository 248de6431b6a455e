"""Simulates one component in Verilator: ports held at values, streams fed and drained with random gaps."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from amaranth.lib import wiring
from amaranth.lib.wiring import In

from hwgen_sim.runner import Simulator, SimulatorSource, build_simulator, run_cocotb
from rtl_templates.memory.ram import RAM_MODULE, ram_verilog
from rtl_templates.verilog import convert


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One part of a simulation: it ends when everything was sent and received.

    Args:
        ports: values of input ports, kept until another phase changes them.
        send: payloads per input stream.
        receive: number of payloads to take per output stream.
        gaps: chance per cycle, for streams by name, that nothing is offered or taken.
        wait: cycles before anything is sent or received, after ``ports`` were set.
        probe: output ports whose value at the end of the phase is returned.
        limit: cycles after which the simulation fails.
    """

    ports: Mapping[str, int] = field(default_factory=dict)
    send: Mapping[str, Sequence[int]] = field(default_factory=dict)
    receive: Mapping[str, int] = field(default_factory=dict)
    gaps: Mapping[str, float] = field(default_factory=dict)
    wait: int = 0
    probe: Sequence[str] = ()
    limit: int = 100_000


@dataclass(frozen=True, kw_only=True)
class PhaseResult:
    """What happened in a phase.

    Args:
        received: payloads per output stream.
        moments: cycle of each transfer, for all streams, counted from the end of the phase's ``wait``.
        probed: value per probed port.
    """

    received: dict[str, list[int]]
    moments: dict[str, list[int]]
    probed: dict[str, int]


def _ports(component: wiring.Component) -> list[tuple[str, bool, int]]:
    """Verilog name, whether it is an input, and width of every port."""
    found = []
    for path, member, value in component.signature.flatten(component):
        width = len(value.as_value()) if hasattr(value, "as_value") else len(value)
        found.append(("__".join(map(str, path)), member.flow == In, width))
    return found


def component_source(component: wiring.Component) -> SimulatorSource:
    """The component below a top module that makes the clock and shows every port."""
    lines = ["module bench;", "  bit clk /*verilator public_flat_rd*/ = 0;", "  always #1 clk = ~clk;",
             "  bit rst /*verilator public_flat_rw*/ = 1;"]
    wires = [".clk(clk)", ".rst(rst)"]
    for name, is_input, width in _ports(component):
        kind, access = ("bit", "rw") if is_input else ("wire", "rd")
        lines.append(f"  {kind} [{width - 1}:0] {name} /*verilator public_flat_{access}*/;")
        wires.append(f".{name}({name})")
    lines += [f"  dut dut ({', '.join(wires)});", "endmodule", ""]
    files = {"bench.sv": "\n".join(lines), "dut.v": convert(component, "dut")}
    for module, part in getattr(component, "submodules", dict)().items():
        files[f"{module}.v"] = convert(part, module)
    if f"{RAM_MODULE} " in "".join(files.values()):
        files[f"{RAM_MODULE}.v"] = ram_verilog()
    return SimulatorSource(top="bench", files=files, optimise=False)


def build_component(component: wiring.Component, *, cache_dir: Path | None = None) -> Simulator:
    """The simulator of a component."""
    return build_simulator(component_source(component), cache_dir=cache_dir)


def run_component(simulator: Simulator, work_dir: Path, phases: Sequence[Phase], *, seed: int = 1,
                  ) -> list[PhaseResult]:
    """Runs the phases one after the other, from reset, with registers and memories in a random initial state.

    Raises:
        HwgenError: a phase did not end within its limit.
    """
    work_dir.mkdir(parents=True, exist_ok=True)
    job, result = work_dir / "job.json", work_dir / "result.json"
    job.write_text(json.dumps({"phases": [asdict(phase) for phase in phases], "seed": seed, "result": str(result)}))
    run_cocotb(simulator, "hwgen_sim.component_bench", work_dir, settings={"HWGEN_COMPONENT_JOB": str(job)}, seed=seed)
    values: list[dict[str, Any]] = json.loads(result.read_text())
    return [PhaseResult(**value) for value in values]
