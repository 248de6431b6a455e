"""What the crypto hardware should compute, from pycryptodome and definitions; shared by its tests."""

import json
import struct
from pathlib import Path

from Crypto.Cipher import AES

VECTORS = Path(__file__).parent / "vectors"


def number(block: bytes) -> int:
    """Bytes as the hardware's signals hold them: byte 0 in the low bits."""
    return int.from_bytes(block, "little")


def encrypt(key: bytes, block: bytes) -> bytes:
    """One block of AES."""
    return AES.new(key, AES.MODE_ECB).encrypt(block)


def multiply(a: bytes, b: bytes) -> bytes:
    """Product in GCM's field, bit by bit (SP 800-38D, algorithm 1)."""
    x, v, z = int.from_bytes(a, "big"), int.from_bytes(b, "big"), 0
    for i in range(128):
        if x >> (127 - i) & 1:
            z ^= v
        v = v >> 1 ^ (0xE1 << 120 if v & 1 else 0)
    return z.to_bytes(16, "big")


def hash_blocks(h: bytes, message: bytes) -> bytes:
    """GHASH (SP 800-38D, algorithm 2)."""
    y = bytes(16)
    for i in range(0, len(message), 16):
        y = multiply(bytes(p ^ q for p, q in zip(y, message[i:i + 16], strict=True)), h)
    return y


def _sub_word(word: bytes) -> bytes:
    return bytes(SBOX[b] for b in word)


def _sbox() -> list[int]:
    """Walks through the powers of the generator 3 and of its inverse at once (not how the hardware's table is made)."""
    table = [0] * 256
    p = q = 1
    while True:
        p = (p ^ p << 1 ^ (0x11B if p & 0x80 else 0)) & 0xFF
        for shift in (1, 2, 4):
            q = (q ^ q << shift) & 0xFF
        if q & 0x80:
            q ^= 0x09
        rotated = [(q << s | q >> (8 - s)) & 0xFF for s in (1, 2, 3, 4)]
        table[p] = q ^ rotated[0] ^ rotated[1] ^ rotated[2] ^ rotated[3] ^ 0x63
        if p == 1:
            break
    table[0] = 0x63
    return table


SBOX = _sbox()


def expand_key(key: bytes) -> bytes:
    """All round keys (FIPS 197, section 5.2)."""
    nk = len(key) // 4
    words = [key[4 * i:4 * i + 4] for i in range(nk)]
    rcon = 1
    for i in range(nk, 4 * (nk + 7)):
        word = words[-1]
        if i % nk == 0:
            word = _sub_word(word[1:] + word[:1])
            word = bytes([word[0] ^ rcon]) + word[1:]
            rcon = rcon << 1 ^ (0x11B if rcon & 0x80 else 0)
        elif nk > 6 and i % nk == 4:
            word = _sub_word(word)
        words.append(bytes(a ^ b for a, b in zip(words[i - nk], word, strict=True)))
    return b"".join(words)


def hash_powers(key: bytes) -> list[bytes]:
    """H to H^4."""
    powers = [encrypt(key, bytes(16))]
    while len(powers) < 4:
        powers.append(multiply(powers[-1], powers[0]))
    return powers


def key_bus(key: bytes, image_id: bytes = bytes(8), version: int = 0) -> dict[str, int]:
    """The key manager's outputs for an image key."""
    powers = hash_powers(key)
    return {
        "round_keys": number(expand_key(key)),
        "h_powers": number(b"".join(powers)),
        "aad_base": number(multiply(image_id + struct.pack("<II", version, 0), powers[0])),
        "image_id": number(image_id),
    }


def load_vectors(name: str, bits: int) -> list[dict]:
    """Published vectors with keys of this size."""
    vectors = json.loads((VECTORS / name).read_text())["vectors"]
    fields = ("key", "iv", "aad", "msg", "ct", "tag")
    decoded = [v | {f: bytes.fromhex(v[f]) for f in fields} for v in vectors]
    return [v for v in decoded if 8 * len(v["key"]) == bits]


def padded(value: bytes) -> bytes:
    """With zeros up to whole blocks."""
    return value + bytes(-len(value) % 16)


def beats(value: bytes) -> list[int]:
    """16-byte beats of a whole number of blocks."""
    return [number(value[i:i + 16]) for i in range(0, len(value), 16)]
