"""The simulated system: the accelerator's Verilog, the bench around it, and the glue between their ports."""

from __future__ import annotations

from pathlib import Path

from hwgen.config.accelerator import AcceleratorConfig, WindowUnit
from hwgen.config.system import SystemConfig
from hwgen_sim import dram_model_source
from hwgen_sim.runner import SimulatorSource
from rtl_templates.engine.counters import COUNTERS
from rtl_templates.shell.lite_decoder import decoded_bits

TOP = "bench"
#: signal -> width, driven by the accelerator
_FROM_ACCELERATOR = {"araddr": 40, "arlen": 8, "arsize": 3, "arburst": 2, "arvalid": 1, "rready": 1, "awaddr": 40,
                     "awlen": 8, "awsize": 3, "awburst": 2, "awvalid": 1, "wdata": 128, "wstrb": 16, "wlast": 1,
                     "wvalid": 1, "bready": 1}
#: signal -> width, driven by the memory
_FROM_MEMORY = {"arready": 1, "rdata": 128, "rresp": 2, "rlast": 1, "rvalid": 1, "awready": 1, "wready": 1, "bresp": 2,
                "bvalid": 1}
_WRITE_CHANNELS = ("aw", "w", "b")
_LITE_IN = {"awaddr": 16, "awvalid": 1, "wdata": 32, "wvalid": 1, "bready": 1, "araddr": 16, "arvalid": 1, "rready": 1}
_LITE_OUT = {"awready": 1, "wready": 1, "bresp": 2, "bvalid": 1, "arready": 1, "rdata": 32, "rresp": 2, "rvalid": 1}
#: input of cycle_monitor.sv -> signal inside the accelerator
_MONITORED = {"cycles": "frame.cycles", "counters": "engine.counters", "issued": "engine.sequencer.retire",
              "finished": "frame.finished"}
#: of a configuration that has the unit
_MONITORED_WINDOW = {"beside": "engine.window.retired"}
#: smallest memory: 64 MiB
MINIMUM_LOG2_WORDS = 22


def _is_write(signal: str) -> bool:
    return signal.startswith(_WRITE_CHANNELS)


def port_declarations(ports: int) -> list[str]:
    """Ports of module ``accelerator_ports``: the signals of ``ports`` memory ports side by side in vectors."""
    def bits(width: int) -> str:
        return f"[{width - 1}:0] "

    return ["input logic clk", "input logic rst", "output logic irq",
            *(f"output logic {bits(ports * width)}{name}" for name, width in _FROM_ACCELERATOR.items()),
            *(f"input logic {bits(ports * width)}{name}" for name, width in _FROM_MEMORY.items()),
            *(f"input logic {bits(width)}{name}_l" for name, width in _LITE_IN.items()),
            *(f"output logic {bits(width)}{name}_l" for name, width in _LITE_OUT.items())]


def accelerator_ports(config: SystemConfig, module: str) -> str:
    """Verilog module ``accelerator_ports``: the design with its ports' signals side by side in vectors, and the monitor
    of its (first) engine's counters."""
    ports = config.ports
    connections = [".clk(clk)", ".rst(rst)", ".irq(irq)", ".s_axil_awprot(3'b0)", ".s_axil_arprot(3'b0)",
                   ".s_axil_wstrb(4'hf)"]
    for name in (*_LITE_IN, *_LITE_OUT):
        part = f"[{decoded_bits(config.engines) - 1}:0]" if name in ("awaddr", "araddr") else ""
        connections.append(f".s_axil_{name}({name}_l{part})")
    constants = []
    for port in range(ports):
        writes = port % config.engine.axi_ports == 0
        connections += [f".m_axi_{port}_rid(1'b0)", *([f".m_axi_{port}_bid(1'b0)"] if writes else [])]
        for name, width in {**_FROM_ACCELERATOR, **_FROM_MEMORY}.items():
            part = f"{name}[{port * width}+:{width}]"
            if writes or not _is_write(name):
                connections.append(f".m_axi_{port}_{name}({part})")
            elif name in _FROM_ACCELERATOR:
                constants.append(f"  assign {part} = 0;")
    paths = _MONITORED | (_MONITORED_WINDOW if config.engine.window is not WindowUnit.NONE else {})
    if config.engine.pipeline is not None:
        paths = {}  # no descriptors to attribute cycles to
    engine = "accelerator" if config.engines == 1 else "accelerator.engine_0"
    watched = [".clk(clk)", ".rst(rst)", *(f".{name}({engine}.{path})" for name, path in paths.items()),
               *(f".{name}('0)" for name in (*_MONITORED, *_MONITORED_WINDOW) if name not in paths)]
    declarations = ",\n    ".join(port_declarations(ports))
    return (f"module accelerator_ports (\n    {declarations}\n);\n" + "\n".join(constants)
            + f"\n  {module} accelerator (\n    " + ",\n    ".join(connections) + "\n  );"
            + f"\n  cycle_monitor #(.COUNTERS({len(COUNTERS)}), .BUSY({COUNTERS.index('busy')})) monitor (\n    "
            + ",\n    ".join(watched) + "\n  );\nendmodule\n")


def simulator_source(
    config: AcceleratorConfig | SystemConfig,
    verilog: str,
    *,
    module: str = "hwgen_accelerator",
    memory_bytes: int = 0,
    waves: bool = False,
    threads: int = 1,
) -> SimulatorSource:
    """What the simulator of a design is made of.

    Args:
        verilog: text of the design, top module ``module``.
        memory_bytes: needed memory; at least 64 MiB are simulated.
    """
    system = config if isinstance(config, SystemConfig) else SystemConfig(engine=config)
    log2_words = max(MINIMUM_LOG2_WORDS, (max(1, memory_bytes // 16) - 1).bit_length())
    files = {
        "accelerator.v": verilog,
        "accelerator_ports.sv": accelerator_ports(system, module),
        "dram_model.sv": dram_model_source(),
        **{name: (Path(__file__).parent / name).read_text() for name in ("bench.sv", "cycle_monitor.sv")},
    }
    return SimulatorSource(top=TOP, files=files, parameters={"PORTS": system.ports, "LOG2_WORDS": log2_words},
                           waves=waves, threads=threads)
