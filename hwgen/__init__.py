"""hwgen: from a CNN to a proven, encrypted tensor-train accelerator for an FPGA board."""

__version__ = "0.1.0"
