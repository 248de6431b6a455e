"""cocotb test benches, the memory model and the runner that drive the generated hardware."""

from pathlib import Path


def dram_model_source() -> str:
    """Text of the AXI4 memory model."""
    return (Path(__file__).parent / "dram_model.sv").read_text()
