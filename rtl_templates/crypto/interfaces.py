"""Payloads and signatures that the segment units (GCM and bypass) and the key manager share.

Byte order: byte k of a 16-byte memory beat, key or block is bits 8k..8k+7 of its 128-bit signal.
"""

from amaranth.hdl import unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl_templates.crypto.timing import rounds_of

H_POWERS = 4
"""Powers of the hash key on the key bus: H^1 .. H^4, one per interleaved GHASH lane."""

FLAG_ENCRYPTED = 0
"""Bit of ``SegmentHeader.flags``: the payload is encrypted; otherwise it is plain and only authenticated."""

ROW_FLAGS = 0xC1
"""``SegmentHeader.flags`` of a row of a feature map, which no segment of an image has."""


class SegmentHeader(data.Struct):
    """What the unit must know of a segment before its data arrives; all of it is authenticated."""

    index: unsigned(32)  #: number of the segment in its image; part of the nonce
    dest: unsigned(32)  #: destination, opaque to the crypto
    length: unsigned(16)  #: 16-byte data beats (1..1024 in an image; any value works), the tag beat not counted
    flags: unsigned(8)  #: bit 0 = encrypted, the others are opaque to the crypto


class DataBeat(data.Struct):
    """16 bytes as they lie in memory."""

    data: unsigned(128)


class PlainBeat(data.Struct):
    """16 bytes of plaintext."""

    data: unsigned(128)
    last: unsigned(1)  #: last beat of the segment


class SegmentStatus(data.Struct):
    """Result of the tag check of one segment."""

    ok: unsigned(1)
    index: unsigned(32)  #: ``SegmentHeader.index`` of the segment


class KeyWord(data.Struct):
    """One 32-bit word of the master key: bytes 4*index .. 4*index+3, little-endian."""

    index: unsigned(3)
    data: unsigned(32)


class KeyBus(wiring.Signature):
    """Everything derived from the per-image key, static while ``valid``.

    Members:
        valid: the other members may be used. Falls before any of them changes.
        round_keys: round key r in bits 128r..128r+127.
        h_powers: H^(i+1) in bits 128i..128i+127, i < ``H_POWERS``.
        aad_base: first block of associated data times H, the same for all segments of an image.
        image_id: first 8 bytes of the nonce, byte 0 in bits 7..0.
    """

    def __init__(self, key_bits: int) -> None:
        self.key_bits = key_bits
        super().__init__({
            "valid": Out(1),
            "round_keys": Out(128 * (rounds_of(key_bits) + 1)),
            "h_powers": Out(128 * H_POWERS),
            "aad_base": Out(128),
            "image_id": Out(64),
        })

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KeyBus) and self.key_bits == other.key_bits

    def __hash__(self) -> int:
        return hash((KeyBus, self.key_bits))


def segment_unit_members(key_bits: int) -> dict[str, wiring.Member]:
    """The ports of every segment unit (``GcmStream``, ``SegmentBypass``), so that one replaces the other."""
    return {
        "header": In(stream.Signature(SegmentHeader)),
        "data": In(stream.Signature(DataBeat)),
        "out": Out(stream.Signature(PlainBeat)),
        "status": Out(stream.Signature(SegmentStatus)),
        "keys": In(KeyBus(key_bits)),
        "flush": In(1),
        "idle": Out(1),
    }
