"""What the FPGA engineer gets."""
