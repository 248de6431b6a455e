"""The AES S-box, computed from its definition (FIPS 197, section 5.1.1)."""


def _times(a: int, b: int) -> int:
    """Product in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1."""
    result = 0
    while b:
        if b & 1:
            result ^= a
        a = (a << 1) ^ (0x11B if a & 0x80 else 0)
        b >>= 1
    return result


def _inverse(a: int) -> int:
    """Multiplicative inverse in GF(2^8), 0 for 0: a^254."""
    result = 1
    for _ in range(254):
        result = _times(result, a)
    return result


def _affine(a: int) -> int:
    """The affine transformation of SubBytes."""
    result = 0x63
    for shift in range(5):
        result ^= (a << shift | a >> (8 - shift)) & 0xFF
    return result


SBOX: tuple[int, ...] = tuple(_affine(_inverse(a)) for a in range(256))
"""SubBytes of every byte."""
