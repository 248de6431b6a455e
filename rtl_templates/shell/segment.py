"""Payloads that the load unit and the channels share."""

from amaranth.hdl import Shape, Value
from amaranth.lib import data

from hwgen.isa.layout import (
    ACT_ADDR_BITS,
    LINE_BITS,
    LOAD_FIELDS,
    LOAD_STEP_FIELDS,
    STORE_FIELDS,
    STORE_STEP_FIELDS,
    WORD_BYTES,
    Field,
)
from rtl_templates.crypto.interfaces import SegmentHeader
from rtl_templates.shell.axi import BEAT_ADDR_BITS

#: payload beats of a segment: at most 16 KiB
SEGMENT_BEATS_BITS = 11
#: line of weight memory, activation word or program word
TARGET_BITS = max(ACT_ADDR_BITS, LINE_BITS)


def struct_of(fields: tuple[Field, ...]) -> data.StructLayout:
    """A descriptor's fields as a layout, padded to whole program words."""
    members = {field.name: Shape(field.width, field.signed) for field in fields}
    used = sum(field.width for field in fields)
    padding = -used % (8 * WORD_BYTES)
    return data.StructLayout({**members, **({"padding": padding} if padding else {})})


def _without_rows(fields: tuple[Field, ...], protection: bool) -> tuple[Field, ...]:
    """The last fields are those of protected feature maps; other hardware does not look at them."""
    return tuple(field for field in fields if protection or field.name not in ("row_words", "stored_beats"))


def load_layout() -> data.StructLayout:
    """A load descriptor."""
    return struct_of(LOAD_FIELDS)


def load_step_layout(protection: bool = False) -> data.StructLayout:
    """What stands before a load of several planes; as wide as a load descriptor."""
    return struct_of(_without_rows(LOAD_STEP_FIELDS, protection))


def store_layout() -> data.StructLayout:
    """A store descriptor."""
    return struct_of(STORE_FIELDS)


def store_step_layout(protection: bool = False) -> data.StructLayout:
    """What stands before a store of several planes; as wide as a store descriptor."""
    return struct_of(_without_rows(STORE_STEP_FIELDS, protection))


def row_beats(words: Value, p_i: int) -> Value:
    """Beats of a row of activation words."""
    return (words + 1) >> 1 if p_i == 8 else words << ((p_i // 16).bit_length() - 1)


def target_layout(protection: bool = False) -> data.StructLayout:
    """Where a segment's payload goes.

    ``kind``: LoadKind; ``target``: first line, activation word or program word; ``beats``: payload; ``bypass``: the
    data come from the bus as they are, without tag, not from the segment unit. With ``protection`` of feature maps,
    ``odd``: the last beat of a row of one holds one word, not two.
    """
    own = {"odd": 1} if protection else {}
    return data.StructLayout({"kind": 2, "target": TARGET_BITS, "beats": SEGMENT_BEATS_BITS, "bypass": 1, **own})


def segment_layout(protection: bool = False) -> data.StructLayout:
    """One segment to fetch: beat address in memory, where it goes, and what the segment unit must know."""
    return data.StructLayout({"address": BEAT_ADDR_BITS, "to": target_layout(protection), "header": SegmentHeader})
