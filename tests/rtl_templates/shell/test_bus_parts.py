"""AXI masters and register file against cocotbext-axi."""

from pathlib import Path

from hwgen_sim.runner import SimulatorSource, build_simulator, run_cocotb
from rtl_templates.verilog import convert
from tests.rtl_templates.shell.bus_parts import BusParts

HERE = Path(__file__).parent


def test_bus_parts(tmp_path: Path) -> None:
    source = SimulatorSource(top="bus_parts", files={"bus_parts.v": convert(BusParts(), "bus_parts")}, public=True,
                             optimise=False)
    run_cocotb(build_simulator(source), "bus_cocotb", tmp_path, python_path=[HERE], seed=1)
