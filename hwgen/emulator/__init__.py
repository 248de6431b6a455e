"""Instruction-level emulator: program and weight stream bytes on modelled memories (docs/architecture.md).

The debugging aid between compiler and hardware. It knows the instruction set's layout and nothing of the compiler or of
the golden model, and it asserts the contract: parity and banks, lines read before they are loaded or after they are
freed, ring overwrites, reads of words never written, hazards without DRAIN, accumulator widths.
"""

from hwgen.emulator.machine import Frame, Machine
from hwgen.emulator.violation import ContractViolation

__all__ = ["ContractViolation", "Frame", "Machine"]
