"""The combinational parts of the AES cipher (FIPS 197, section 5), as Amaranth expressions.

A state, block or round key is a list of four 32-bit columns; byte r of column c is byte 4c + r of the block
(FIPS 197, section 3.4) and lies in bits 8r..8r+7 of the column.
"""

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from rtl_templates.crypto.aes_tables import SBOX


def sub_byte(byte: Value) -> Value:
    """S-box of one byte: a 256x8 table, four LUT6 and three wide multiplexers per bit.

    Written as such: a simulator would shift all 2,048 bits of a table in one piece, which took 40 % of the time.
    """
    bits = []
    for bit in range(8):
        tables = [sum((value >> bit & 1) << low for low, value in enumerate(SBOX[first:first + 64]))
                  for first in range(0, 256, 64)]
        quarters = [Const(table, 64).bit_select(byte[:6], 1) for table in tables]
        bits.append(Mux(byte[7], Mux(byte[6], quarters[3], quarters[2]), Mux(byte[6], quarters[1], quarters[0])))
    return Cat(bits)


def columns(block: Value) -> list[Value]:
    """The four columns of a 128-bit block."""
    return [block[32 * c:32 * c + 32] for c in range(4)]


def shift_rows(state: Sequence[Value]) -> list[Value]:
    """Rotates row r left by r columns; wires only."""
    return [Cat(state[(c + r) % 4][8 * r:8 * r + 8] for r in range(4)) for c in range(4)]


def sub_columns(m: Module, state: Sequence[Value], name: str = "sub") -> list[Value]:
    """S-boxes of all bytes, each byte a named signal."""
    result: list[Value] = []
    for c, column in enumerate(state):
        parts = []
        for r in range(4):
            byte = Signal(8, name=f"{name}_{c}{r}")
            m.d.comb += byte.eq(sub_byte(column[8 * r:8 * r + 8]))
            parts.append(byte)
        result.append(Cat(parts))
    return result


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
