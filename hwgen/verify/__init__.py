"""The proof: the simulated hardware against the golden model, every element with ``==``."""
