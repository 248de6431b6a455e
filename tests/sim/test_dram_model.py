"""The simulated memory: data through the backdoor and the bus, latency, the shared bandwidth."""

from pathlib import Path

from hwgen_sim import dram_model_source
from hwgen_sim.runner import SimulatorSource, build_simulator, run_cocotb

HERE = Path(__file__).parent


def test_dram_model(tmp_path: Path) -> None:
    files = {"dram_model.sv": dram_model_source(), "dram_bench.sv": (HERE / "dram_bench.sv").read_text()}
    simulator = build_simulator(SimulatorSource(top="dram_bench", files=files, public=True, optimise=False))
    run_cocotb(simulator, "dram_cocotb", tmp_path, plusargs=[f"+exchange={tmp_path}"],
               settings={"EXCHANGE": str(tmp_path)}, python_path=[HERE], seed=1)
