"""Encryption of model images: keys, sealed segments, and the choice of what is encrypted (``docs/security.md``)."""

from hwgen.seal.image import SealedImage, seal_image
from hwgen.seal.keys import Key, derive_image_key, generate_key, load_key, load_or_generate_key
from hwgen.seal.rows import derive_spill_key, open_row, seal_row
from hwgen.seal.segments import FLAG_ENCRYPTED, SEGMENT_BYTES, TAG_BYTES, Segment, open_segment, seal_segment
from hwgen.seal.select import check_choice, select_encrypted
from hwgen.seal.selection import SelectedUnit, Selection, load_selection

__all__ = [
    "FLAG_ENCRYPTED", "SEGMENT_BYTES", "TAG_BYTES", "Key", "SealedImage", "Segment", "SelectedUnit", "Selection",
    "check_choice", "derive_image_key", "derive_spill_key", "generate_key", "load_key", "load_or_generate_key",
    "load_selection", "open_row", "open_segment", "seal_image", "seal_row", "seal_segment", "select_encrypted",
]
