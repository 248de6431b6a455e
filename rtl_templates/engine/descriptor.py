"""The compute descriptor as an Amaranth layout, built from the one table in ``hwgen.isa.layout``."""

from amaranth.hdl import signed, unsigned
from amaranth.lib import data

from hwgen.isa.layout import COMPUTE_FIELDS, COMPUTE_WORDS, WORD_BYTES

DESCRIPTOR_BITS = COMPUTE_WORDS * WORD_BYTES * 8


def compute_layout() -> data.StructLayout:
    """Fields by name, from bit 0 upwards."""
    return data.StructLayout({f.name: signed(f.width) if f.signed else unsigned(f.width) for f in COMPUTE_FIELDS})
