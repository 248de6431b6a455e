"""Key files and key derivation. Key bytes never appear in a repr, a message, a log or a pickle."""

from __future__ import annotations

import hmac
import os
import secrets
from pathlib import Path
from typing import NoReturn

from Crypto.Cipher import AES
from Crypto.Hash import CMAC

from hwgen.errors import HwgenError

KEY_BITS = (128, 256)
IMAGE_LABEL = b"hwgen-image"
"""SP 800-108 label of per-image keys; the hardware derives the same (``rtl_templates.crypto.key_derivation``)."""
SALT_LABEL = b"hwgen-salt"
"""SP 800-108 label of the HMAC key of image salts; used by software only."""


class Key:
    """Secret bytes whose text forms hide them.

    Args:
        value: 16 or 32 bytes.
    """

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        if len(value) * 8 not in KEY_BITS:
            raise HwgenError(f"a key of {len(value)} bytes", allowed="16 or 32 bytes")
        self._value = bytes(value)

    @property
    def bits(self) -> int:
        """128 or 256."""
        return 8 * len(self._value)

    def reveal(self) -> bytes:
        """The bytes, for a cipher or a key register only."""
        return self._value

    def words(self) -> list[int]:
        """The bytes as the hardware's key registers take them: 32-bit little-endian words, word 0 first."""
        return [int.from_bytes(self._value[i:i + 4], "little") for i in range(0, len(self._value), 4)]

    def __repr__(self) -> str:
        return f"<Key of {self.bits} bits>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and hmac.compare_digest(self._value, other._value)

    def __hash__(self) -> NoReturn:
        raise TypeError("keys are not hashable")

    def __reduce__(self) -> NoReturn:
        raise TypeError("keys are not serialised; write a key file")


def load_key(path: Path | str, *, bits: int | None = None) -> Key:
    """Reads a key file: 32 or 64 hexadecimal digits, white space ignored.

    Args:
        path: of the key file.
        bits: required size, if any.

    Raises:
        HwgenError: no such file, not a key, or of another size. The message never shows what the file holds.
    """
    path = Path(path)
    allowed = "32 or 64 hexadecimal digits"
    try:
        text = path.read_text(encoding="ascii")
    except UnicodeDecodeError:
        raise HwgenError("not a key file", where=str(path), allowed=allowed) from None
    except OSError as error:
        raise HwgenError(f"cannot read the key file: {error.strerror}", where=str(path),
                         hint="name another file with --key-file, or none to generate a development key") from None
    digits = "".join(text.split())
    try:
        value = bytes.fromhex(digits)
    except ValueError:
        raise HwgenError("not a key file", where=str(path), allowed=allowed) from None
    if len(value) * 8 not in KEY_BITS:
        raise HwgenError(f"{len(digits)} hexadecimal digits", where=str(path), allowed=allowed)
    if bits is not None and len(value) * 8 != bits:
        raise HwgenError(f"a key of {len(value) * 8} bits", where=str(path),
                         allowed=f"{bits} bits, as the accelerator is configured (config.aes_key_bits)")
    return Key(value)


def generate_key(path: Path | str, *, bits: int = 128) -> Key:
    """Writes a new random key, readable by its owner only, and returns it.

    Raises:
        HwgenError: the file exists, or cannot be written.
    """
    if bits not in KEY_BITS:
        raise HwgenError(f"a key of {bits} bits", allowed="128 or 256")
    path = Path(path)
    key = Key(secrets.token_bytes(bits // 8))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # never wider than 0600, not even for a moment, and never over an existing key
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise HwgenError("the key file exists and is not overwritten", where=str(path)) from None
    except OSError as error:
        raise HwgenError(f"cannot write the key file: {error.strerror}", where=str(path)) from None
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(key.reveal().hex() + "\n")
    return key


def load_or_generate_key(path: Path | str, *, bits: int = 128) -> tuple[Key, bool]:
    """The key of a file, or a new development key in it; the flag says whether it is new."""
    if Path(path).exists():
        return load_key(path, bits=bits), False
    return generate_key(path, bits=bits), True


def counter_kdf(key: bytes, fixed: bytes, bits: int) -> bytes:
    """NIST SP 800-108 key derivation in counter mode with CMAC-AES and a 32-bit counter before the fixed input."""
    counters = [i.to_bytes(4, "big") for i in range(1, -(-bits // 128) + 1)]
    return b"".join(CMAC.new(key, i + fixed, ciphermod=AES).digest() for i in counters)[:bits // 8]


def derive(master: Key, label: bytes, context: bytes, bits: int) -> bytes:
    """Secret bytes for one purpose: ``counter_kdf`` of label || 0x00 || context || [bits]_32, big-endian."""
    return counter_kdf(master.reveal(), label + b"\0" + context + bits.to_bytes(4, "big"), bits)


def derive_image_key(master: Key, salt: bytes) -> Key:
    """The key of the image with this salt, as long as the master key."""
    if len(salt) != 16:
        raise HwgenError(f"a salt of {len(salt)} bytes", allowed="16 bytes")
    return Key(derive(master, IMAGE_LABEL, salt, master.bits))
