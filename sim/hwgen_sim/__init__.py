"""cocotb test benches, the memory model and the runner that drive the generated hardware."""
