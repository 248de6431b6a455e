"""The compute descriptor as an Amaranth layout, built from the one table in ``hwgen.isa.layout``."""

from amaranth.hdl import Cat, Value, signed, unsigned
from amaranth.lib import data

from hwgen.isa.layout import COMPUTE_FIELDS, COMPUTE_WORDS, WORD_BYTES, Opcode

DESCRIPTOR_BITS = COMPUTE_WORDS * WORD_BYTES * 8
#: what the window unit looks at
WINDOW_FIELDS = (
    "opcode", "last_l0", "last_l1", "last_l2", "last_l3", "last_l5", "src_base", "src_jump_l5",
    "iy_base", "iy_jump_l2", "iy_jump_l3", "iy_jump_l5", "ix_base", "ix_jump_l2", "ix_jump_l3", "ix_jump_l5",
    "height", "width", "dst_base", "dst_jump_x", "dst_jump_y", "dst_jump_o",
    "res_base", "res_jump_x", "res_jump_y", "res_jump_o", "lo", "hi", "wait_act", "wait_progress", "wait_store",
)


def compute_layout() -> data.StructLayout:
    """Fields by name, from bit 0 upwards."""
    return data.StructLayout({f.name: signed(f.width) if f.signed else unsigned(f.width) for f in COMPUTE_FIELDS})


def window_layout() -> data.StructLayout:
    """The fields of ``WINDOW_FIELDS``, in the order of the descriptor."""
    return data.StructLayout({f.name: signed(f.width) if f.signed else unsigned(f.width) for f in COMPUTE_FIELDS
                              if f.name in WINDOW_FIELDS})


def window_fields(descriptor: data.View) -> Value:
    """The bits of a compute descriptor in the order of ``window_layout``."""
    return Cat(descriptor[name].as_unsigned() for name, _ in window_layout())


def is_window(opcode: Value) -> Value:
    """Whether a descriptor with this opcode is run by the window unit."""
    return (opcode == Opcode.WINDOW_CONV) | (opcode == Opcode.WINDOW_MAX)
