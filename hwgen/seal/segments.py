"""Sealing and opening single segments: AES-GCM with a nonce and associated data that bind a segment to its place."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from Crypto.Cipher import AES

from hwgen.errors import HwgenError
from hwgen.seal.keys import Key

if TYPE_CHECKING:
    from Crypto.Cipher._mode_gcm import GcmMode

BEAT_BYTES = 16
TAG_BYTES = 16
SEGMENT_BYTES = 16384
"""Largest payload of a segment."""
FLAG_ENCRYPTED = 1
"""Flag of segments whose payload is encrypted; the others are plain and only authenticated."""


@dataclass(frozen=True, kw_only=True)
class Segment:
    """One unit of load: what is authenticated together.

    Args:
        index: number of the segment, unique in its image.
        dest: destination, opaque to the crypto.
        flags: bit 0 = encrypted, the other bits are opaque to the crypto.
        payload: whole beats of 16 bytes, 1 .. 1024 of them.
    """

    index: int
    dest: int
    flags: int
    payload: bytes

    def __post_init__(self) -> None:
        where = f"segment {self.index}"
        for field, bits in (("index", 32), ("dest", 32), ("flags", 8)):
            if not 0 <= getattr(self, field) < 1 << bits:
                raise HwgenError(f"{field} {getattr(self, field)} is out of range", where=where,
                                 allowed=f"{bits} bits, unsigned")
        if len(self.payload) % BEAT_BYTES or not 0 < len(self.payload) <= SEGMENT_BYTES:
            raise HwgenError(f"a payload of {len(self.payload)} bytes", where=where,
                             allowed=f"multiples of {BEAT_BYTES}, 1 .. {SEGMENT_BYTES}")

    @property
    def encrypted(self) -> bool:
        """Whether the payload is encrypted."""
        return bool(self.flags & FLAG_ENCRYPTED)

    @property
    def beats(self) -> int:
        """Length in beats."""
        return len(self.payload) // BEAT_BYTES

    def header(self) -> bytes:
        """The 16 bytes that describe the segment: index, destination, length in beats, flags; little-endian."""
        return struct.pack("<IIII", self.index, self.dest, self.beats, self.flags)


def nonce(image_id: bytes, index: int) -> bytes:
    """The 96-bit nonce of a segment: image id, then the index, big-endian."""
    return image_id + struct.pack(">I", index)


def associated_data(image_id: bytes, version: int, header: bytes) -> bytes:
    """The 32 bytes that are authenticated ahead of the payload: image id, version, 4 zero bytes, segment header."""
    return image_id + struct.pack("<II", version, 0) + header


def _cipher(image_key: Key, image_id: bytes, version: int, segment: Segment) -> GcmMode:
    if len(image_id) != 8:
        raise HwgenError(f"an image id of {len(image_id)} bytes", allowed="8 bytes")
    if not 0 <= version < 1 << 32:
        raise HwgenError(f"version {version} is out of range", allowed="32 bits, unsigned")
    cipher = AES.new(image_key.reveal(), AES.MODE_GCM, nonce=nonce(image_id, segment.index), mac_len=TAG_BYTES)
    cipher.update(associated_data(image_id, version, segment.header()))
    return cipher


def seal_segment(image_key: Key, image_id: bytes, version: int, segment: Segment) -> bytes:
    """What goes into the image: ciphertext (or the plain payload) followed by the 16-byte tag.

    A plain payload is associated data behind the header, with no ciphertext.
    """
    cipher = _cipher(image_key, image_id, version, segment)
    if segment.encrypted:
        body, tag = cipher.encrypt_and_digest(segment.payload)
    else:
        body, tag = segment.payload, cipher.update(segment.payload).digest()
    return body + tag


def open_segment(image_key: Key, image_id: bytes, version: int, *, index: int, dest: int, flags: int,
                 sealed: bytes) -> Segment:
    """Checks and decrypts what ``seal_segment`` returned.

    Raises:
        HwgenError: the tag does not fit: wrong key, or the segment was changed, moved, or belongs to another image.
    """
    segment = Segment(index=index, dest=dest, flags=flags, payload=sealed[:-TAG_BYTES])
    cipher = _cipher(image_key, image_id, version, segment)
    try:
        if segment.encrypted:
            payload = cipher.decrypt_and_verify(segment.payload, sealed[-TAG_BYTES:])
        else:
            payload = segment.payload
            cipher.update(payload).verify(sealed[-TAG_BYTES:])
    except ValueError:
        raise HwgenError("authentication failed", where=f"segment {index}",
                         hint="wrong key, or the image was changed") from None
    return Segment(index=index, dest=dest, flags=flags, payload=payload)
