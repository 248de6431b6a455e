"""The combinational parts of the AES cipher (FIPS 197, section 5), as Amaranth expressions.

A state, block or round key is a list of four 32-bit columns; byte r of column c is byte 4c + r of the block
(FIPS 197, section 3.4) and lies in bits 8r..8r+7 of the column.
"""

from collections.abc import Sequence

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib.memory import Memory

from rtl_templates.crypto.aes_tables import SBOX


def sub_bytes(m: Module, data: Value, name: str = "sbox") -> Value:
    """S-box of every byte: a 256x8 table, per bit four LUT6 and three wide multiplexers.

    One memory with a port per byte, because simulators look up memories fastest.
    """
    table = Memory(shape=8, depth=256, init=SBOX, attrs={"rom_style": "logic"})
    m.submodules[name] = table
    result = []
    for i in range(len(data) // 8):
        port = table.read_port(domain="comb")
        m.d.comb += port.addr.eq(data[8 * i:8 * i + 8])
        result.append(port.data)
    return Cat(result)


def columns(block: Value) -> list[Value]:
    """The four columns of a 128-bit block."""
    return [block[32 * c:32 * c + 32] for c in range(4)]


def shift_rows(state: Sequence[Value]) -> list[Value]:
    """Rotates row r left by r columns; wires only."""
    return [Cat(state[(c + r) % 4][8 * r:8 * r + 8] for r in range(4)) for c in range(4)]


def mix_column(m: Module, column: Value, name: str = "mix") -> Value:
    """Multiplies one column by the MixColumns matrix."""
    # one 32-bit word holds four bytes: byte r of the result is 2*a[r] + 3*a[r+1] + a[r+2] + a[r+3]
    a = Signal(32, name=f"{name}_in")
    double = Signal(32, name=f"{name}_double")
    high = Signal(32, name=f"{name}_high")
    m.d.comb += [
        a.eq(column),
        high.eq((a >> 7) & 0x01010101),
        double.eq(((a & 0x7F7F7F7F) << 1) ^ high ^ (high << 1) ^ (high << 3) ^ (high << 4)),
    ]
    return double ^ (double ^ a).rotate_right(8) ^ a.rotate_right(16) ^ a.rotate_right(24)
