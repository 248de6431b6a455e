"""Everything between the engine and the bus: registers, frame control, loads, stores, program memory, AXI masters."""
