"""Sealing all segments of an image reproducibly, so that no nonce is ever used twice under one key."""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from hwgen.errors import HwgenError
from hwgen.seal.keys import SALT_LABEL, Key, derive, derive_image_key
from hwgen.seal.segments import Segment, seal_segment


@dataclass(frozen=True, kw_only=True)
class SealedImage:
    """The sealed segments of an image and what its header must tell the hardware.

    Args:
        salt: 16 bytes, input of the key derivation.
        image_id: 8 bytes, first part of every nonce.
        version: authenticated with every segment.
        bodies: ciphertext (or plain payload) and tag of each segment, in the order given.
    """

    salt: bytes
    image_id: bytes
    version: int
    bodies: tuple[bytes, ...]


def image_salt(master: Key, version: int, segments: Sequence[Segment]) -> bytes:
    """The salt: HMAC-SHA256 over the version and every segment's header and plaintext, cut to 16 bytes.

    Its key is derived from the master key. The same image and key give the same salt (reproducible builds); anything
    different, be it one byte or only the cut into segments, gives another salt, hence another image key.
    """
    mac = hmac.new(derive(master, SALT_LABEL, b"", 256), digestmod=hashlib.sha256)
    mac.update(struct.pack("<II", version, len(segments)))
    for segment in segments:  # headers carry the lengths: no two lists of segments give the same bytes
        mac.update(segment.header())
        mac.update(segment.payload)
    return mac.digest()[:16]


def image_id(salt: bytes) -> bytes:
    """The image id: first 8 bytes of SHA-256 of the salt."""
    return hashlib.sha256(salt).digest()[:8]


def seal_image(master: Key, version: int, segments: Sequence[Segment]) -> SealedImage:
    """Seals all segments of an image.

    Raises:
        HwgenError: an index occurs twice (its nonce would, too).
    """
    seen: set[int] = set()
    for segment in segments:
        if segment.index in seen:
            raise HwgenError("the index occurs twice in the image", where=f"segment {segment.index}")
        seen.add(segment.index)
    salt = image_salt(master, version, segments)
    identity = image_id(salt)
    key = derive_image_key(master, salt)
    bodies = tuple(seal_segment(key, identity, version, segment) for segment in segments)
    return SealedImage(salt=salt, image_id=identity, version=version, bodies=bodies)
