"""The instruction set: bit layouts of the descriptors, shared by compiler, hardware, disassembler and documents."""
