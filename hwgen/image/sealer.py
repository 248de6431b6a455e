"""What the writer needs of the crypto: turn a segment's plaintext into what lies in memory, and back."""

from __future__ import annotations

from typing import Protocol

from hwgen.image.layout import TAG_BYTES


class Sealer(Protocol):
    """Seals the segments of one image.

    Members:
        image_id: 8 bytes; version: of the image; salt: 16 bytes.
    """

    @property
    def image_id(self) -> bytes: ...

    @property
    def version(self) -> int: ...

    @property
    def salt(self) -> bytes: ...

    def seal(self, index: int, dest: int, flags: int, payload: bytes) -> bytes:
        """Stored payload and 16-byte tag. ``flags``: ``associated_flags``; bit 0: encrypt."""
        ...

    def open(self, index: int, dest: int, flags: int, stored: bytes) -> bytes:
        """Plaintext of ``stored`` = payload + tag.

        Raises:
            HwgenError: the tag does not match.
        """
        ...


def associated_flags(kind: int, flags: int) -> int:
    """The byte of associated data that the load unit forms: load flags in bits 0..5, kind in bits 6 and 7."""
    return flags | kind << 6


class Unsealed:
    """For engines without crypto (``Crypto.BYPASS``): plaintext and a tag of zeros."""

    image_id = bytes(8)
    version = 0
    salt = bytes(16)

    def seal(self, index: int, dest: int, flags: int, payload: bytes) -> bytes:
        """Payload and zeros."""
        del index, dest, flags
        return payload + bytes(TAG_BYTES)

    def open(self, index: int, dest: int, flags: int, stored: bytes) -> bytes:
        """Payload."""
        del index, dest, flags
        return stored[:-TAG_BYTES]
