"""What the cells of a synthesised netlist cost and how signals pass through them."""

from __future__ import annotations

from enum import Enum, auto


class Kind(Enum):
    """Behaviour of a cell in timing paths."""

    LUT = auto()
    CARRY = auto()
    MUX = auto()  #: wide multiplexer inside a slice, or an inverter that its reader absorbs: no level of its own
    FLIPFLOP = auto()
    LUTRAM = auto()  #: written at the clock, read without it
    BLOCKRAM = auto()
    DSP = auto()
    OTHER = auto()


#: LUTs that a distributed memory or shift register takes
_LUTRAM = {
    "SRL16E": 1, "SRLC16E": 1, "SRLC32E": 1, "RAM16X1D": 2, "RAM32X1S": 1, "RAM32X1D": 2, "RAM64X1S": 1, "RAM64X1D": 2,
    "RAM128X1S": 2, "RAM128X1D": 4, "RAM256X1S": 4, "RAM256X1D": 8, "RAM512X1S": 8, "RAM32M": 4, "RAM64M": 4,
    "RAM32M16": 8, "RAM64M8": 8, "RAM32X16DR8": 8, "RAM64X8SW": 8, "TRELLIS_DPR16X4": 4,
}
#: 36 kbit blocks
_BLOCKRAM = {"RAMB36E1": 1.0, "RAMB36E2": 1.0, "RAMB18E1": 0.5, "RAMB18E2": 0.5, "DP16KD": 0.5, "PDPW16KD": 0.5}
_DSP = {"DSP48E1", "DSP48E2", "MULT18X18D", "ALU54B"}


def kind_of(cell_type: str) -> Kind:
    """The kind of a Xilinx or ECP5 cell."""
    if cell_type.startswith("LUT"):
        return Kind.LUT
    if cell_type.startswith(("CARRY", "CCU2C")):
        return Kind.CARRY
    if cell_type.startswith(("MUXF", "PFUMX", "L6MUX", "INV")):
        return Kind.MUX
    if cell_type.startswith(("FD", "LD", "TRELLIS_FF")):
        return Kind.FLIPFLOP
    if cell_type in _LUTRAM:
        return Kind.LUTRAM
    if cell_type in _BLOCKRAM or cell_type == "URAM288":
        return Kind.BLOCKRAM
    if cell_type in _DSP:
        return Kind.DSP
    return Kind.OTHER


def cost_of(cell_type: str) -> dict[str, float]:
    """Resources of one cell, by the names of ``hwgen.config.board.Resources``."""
    kind = kind_of(cell_type)
    if kind is Kind.LUT:
        return {"lut": 1.0}
    if kind is Kind.FLIPFLOP:
        return {"ff": 1.0}
    if kind is Kind.LUTRAM:
        return {"lut": float(_LUTRAM[cell_type])}
    if cell_type == "URAM288":
        return {"uram": 1.0}
    if kind is Kind.BLOCKRAM:
        return {"bram36": _BLOCKRAM[cell_type]}
    if kind is Kind.DSP:
        return {"dsp": 1.0}
    if cell_type == "CCU2C":
        return {"lut": 2.0}
    return {}


def clocked_input(kind: Kind, port: str) -> bool:
    """Whether a path ends at this input: what is written into distributed memory is taken at the clock; only addresses
    lead through to the outputs."""
    return kind is Kind.LUTRAM and (port in ("D", "CE") or port.startswith(("DI", "WE", "WR", "WA", "WC", "CLK")))


#: inputs of a carry cell that continue a chain instead of entering it
CHAIN_INPUTS = {"CI", "CIN"}
#: inputs without influence on the data outputs within a cycle
CLOCK_INPUTS = {"C", "CLK", "WCLK", "CLKARDCLK", "CLKBWRCLK"}
