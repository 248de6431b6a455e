"""What the time of a proof goes into: docs/simulation.md.

    python benchmarks/simulation_speed.py [--only resnet18_224,resnet50] [--board zcu104] [--out BUILDS] [--write]

Seconds are processor time of the simulator's compilation and of the simulation, which do not depend on what else the
machine does as much as the clock on the wall. Compilation is measured with an empty cache. The memory model by itself
is the bench with an accelerator that does nothing but read through all ports as fast as the memory allows: an upper
bound of its part in a cycle. ``--write`` updates docs/simulation.md.
"""

from __future__ import annotations

import argparse
import re
import resource
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from build_time import processor
from docs_page import ROOT, write_section
from progress import Steps

from hwgen.config.accelerator import AcceleratorConfig, Crypto
from hwgen.config.board import load_board
from hwgen.pipeline.build import build
from hwgen.pipeline.keys import build_key
from hwgen.pipeline.request import BuildRequest
from hwgen.pipeline.steps.rtl import VERILOG
from hwgen.pipeline.steps.seal import IMAGE
from hwgen.pipeline.steps.search import load_config
from hwgen.verify.proof import memory_timing
from hwgen_sim.bench import port_declarations, simulator_source
from hwgen_sim.runner import Simulator, SimulatorSource, build_simulator, run_cocotb
from hwgen_sim.simulate import MemoryTiming, memory_bytes, run_job

COLUMNS = ("network", "array", "Verilator", "C++ compiler", "simulation of two frames", "cycles", "cycles per second",
           "memory model", "all")
MEMORY_CYCLES = 1_000_000
_VERILATOR_SECONDS = re.compile(r"cpu ([\d.]+) s")


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Seconds of processor time of one proof, and the share of the memory model in its simulation."""

    network: str
    array: str
    verilator: float
    compiler: float
    simulation: float
    cycles: int
    memory: float

    def row(self) -> str:
        """A line of the table."""
        return "| " + " | ".join((
            self.network, self.array, f"{self.verilator:.0f} s", f"{self.compiler:.0f} s", f"{self.simulation:.0f} s",
            f"{self.cycles:,}", f"{self.cycles / self.simulation:,.0f}", f"≤ {self.memory:.0%}",
            f"{self.verilator + self.compiler + self.simulation:.0f} s")) + " |"


def processor_seconds() -> float:
    """Of all processes that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def timed_build(source: SimulatorSource, cache: Path) -> tuple[Simulator, float, float]:
    """A simulator made anew; seconds of Verilator and of the C++ compiler."""
    before = processor_seconds()
    simulator = build_simulator(source, cache_dir=cache)
    seconds = processor_seconds() - before
    found = _VERILATOR_SECONDS.search((simulator.folder / "build.log").read_text(errors="replace"))
    verilator = float(found[1]) if found else 0.0
    return simulator, verilator, seconds - verilator


def traffic(ports: int) -> str:
    """Verilog of an accelerator that reads 256-byte bursts through all ports without end."""
    return "module accelerator_ports (\n  " + ",\n  ".join(port_declarations(ports)) + """
);
  assign irq = 0;
  assign {awaddr, awlen, awsize, awburst, awvalid, wdata, wstrb, wlast, wvalid} = 0;
  assign {awready_l, wready_l, bresp_l, bvalid_l, arready_l, rdata_l, rresp_l, rvalid_l} = 0;
  assign bready = '1;
  assign rready = '1;
  assign arvalid = '1;
  for (genvar p = 0; p < $bits(arvalid); p++) begin : port
    logic [19:0] address = 0;
    always @(posedge clk) if (arready[p]) address <= rst ? 0 : address + 256;
    assign araddr[40*p+:40] = 40'h8_0000_0000 + 40'(address);
    assign arlen[8*p+:8] = 15;
    assign arsize[3*p+:3] = 4;
    assign arburst[2*p+:2] = 1;
  end
endmodule
"""


def memory_seconds(config: AcceleratorConfig, memory: MemoryTiming, cache: Path) -> float:
    """Seconds of a cycle of the memory model under full load."""
    whole = simulator_source(config, "")
    files = {**{n: whole.files[n] for n in ("bench.sv", "dram_model.sv")}, "traffic.sv": traffic(config.axi_ports)}
    simulator = build_simulator(SimulatorSource(top=whole.top, files=files, parameters=whole.parameters),
                                cache_dir=cache)
    seconds = []
    for cycles in (1000, 1000 + MEMORY_CYCLES):
        before = processor_seconds()
        with tempfile.TemporaryDirectory() as folder:
            run_cocotb(simulator, "memory_traffic", Path(folder), seed=1, python_path=[Path(__file__).parent],
                       settings={"CYCLES": str(cycles)})
        seconds.append(processor_seconds() - before)
    return (seconds[1] - seconds[0]) / MEMORY_CYCLES


def measure(network: str, board: str, out: Path) -> Speed:
    """Compile and run the simulator of a build."""
    request = BuildRequest(model=network, board=board, out=out / f"{network}-{board}", measure_crypto=False)
    build(request, Steps(), last="vectors")
    folder = request.out
    config, memory = load_config(folder / "search"), memory_timing(load_board(board))
    key = build_key(request, config.aes_key_bits).reveal() if config.crypto is Crypto.GCM else b""
    verilog, image = (folder / "rtl" / VERILOG).read_text(encoding="utf-8"), folder / "seal" / IMAGE
    with tempfile.TemporaryDirectory() as name:
        cache = Path(name)
        source = simulator_source(config, verilog, memory_bytes=memory_bytes(image, 1))
        _, verilator, compiler = timed_build(source, cache)
        before = processor_seconds()
        result = run_job(config, image, list(np.load(folder / "vectors" / "inputs.npy")), key=key, verilog=verilog,
                         memory=memory, cache_dir=cache)
        simulation = processor_seconds() - before
        share = memory_seconds(config, memory, cache) * result.cycles / simulation
    return Speed(network=network, array=f"{config.p_i}x{config.p_o}", verilator=verilator, compiler=compiler,
                 simulation=simulation, cycles=result.cycles, memory=share)


def main() -> None:
    """Measure, print, and with ``--write`` update docs/."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="resnet18_224,resnet50", help="networks, separated by commas")
    parser.add_argument("--board", default="zcu104")
    parser.add_argument("--out", type=Path, default=ROOT / "build")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    for network in arguments.only.split(","):
        print(f"{network} on {arguments.board}", flush=True)
        lines.append(measure(network, arguments.board, arguments.out).row())
        print(lines[-1], flush=True)
    text = "\n".join([*lines, "", f"Processor seconds on {processor()}; the C++ compiler uses all cores."])
    print(text)
    if arguments.write:
        write_section("speed", text, page="simulation.md")


if __name__ == "__main__":
    main()
