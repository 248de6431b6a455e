"""Sealing and opening rows of feature maps in the scratch buffer, as the hardware does: what tests compare it with."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from Crypto.Cipher import AES

from hwgen.errors import HwgenError
from hwgen.seal.keys import Key, derive
from hwgen.seal.segments import TAG_BYTES

if TYPE_CHECKING:
    from Crypto.Cipher._mode_gcm import GcmMode

SPILL_LABEL = b"hwgen-spill"
"""SP 800-108 label of the key of feature maps; the hardware's is in ``rtl_templates.crypto.key_derivation``."""


FLAGS = 0xC1
"""Flags of a row's header, which no segment of an image has."""


def derive_spill_key(master: Key, boot_salt: bytes) -> Key:
    """The key of feature maps under a boot salt of 16 bytes, as long as the master key."""
    if len(boot_salt) != 16:
        raise HwgenError(f"a boot salt of {len(boot_salt)} bytes", allowed="16 bytes")
    return Key(derive(master, SPILL_LABEL, boot_salt, master.bits))


def _cipher(key: Key, frame: int, offset: int, beats: int) -> GcmMode:
    cipher = AES.new(key.reveal(), AES.MODE_GCM, nonce=struct.pack("<Q", frame) + struct.pack(">I", offset),
                     mac_len=TAG_BYTES)
    cipher.update(bytes(16) + struct.pack("<IIII", offset, 0, beats, FLAGS))
    return cipher


def seal_row(key: Key, frame: int, offset: int, row: bytes) -> bytes:
    """What the scratch buffer holds of a row: ciphertext and a tag of 16 bytes.

    Args:
        key: ``derive_spill_key``.
        frame: starts of a frame since the hardware's reset, this one included.
        offset: of the row in the scratch buffer, in 16-byte beats.
        row: whole beats.
    """
    body, tag = _cipher(key, frame, offset, len(row) // 16).encrypt_and_digest(row)
    return body + tag


def open_row(key: Key, frame: int, offset: int, sealed: bytes) -> bytes:
    """The row that ``seal_row`` sealed.

    Raises:
        HwgenError: the tag does not fit: the row was changed or moved, or is that of another frame or key.
    """
    body = sealed[:-TAG_BYTES]
    try:
        return _cipher(key, frame, offset, len(body) // 16).decrypt_and_verify(body, sealed[-TAG_BYTES:])
    except ValueError:
        raise HwgenError("authentication failed", where=f"row at beat {offset} of the scratch buffer") from None
