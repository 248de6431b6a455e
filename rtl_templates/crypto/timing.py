"""Published sizes of the cipher and its key stream queue, for the hardware and for who predicts its cycles."""

from hwgen.config.accelerator import AES_ROUNDS, aes_cycles


def rounds_of(key_bits: int) -> int:
    """AES rounds for a key of 128 or 256 bits.

    Raises:
        ValueError: for any other key size.
    """
    if key_bits not in AES_ROUNDS:
        raise ValueError(f"key_bits must be 128 or 256, not {key_bits!r}")
    return AES_ROUNDS[key_bits]


def unrolled_rounds(key_bits: int, cycles: int) -> int:
    """Rounds that a unit needs which encrypts a block every ``cycles`` cycles.

    Raises:
        ValueError: for any other key size, or where no number of rounds makes it just as many cycles.
    """
    rounds = rounds_of(key_bits)
    if cycles not in aes_cycles(key_bits):
        raise ValueError(f"cycles per block must be one of {aes_cycles(key_bits)}, not {cycles!r}")
    return -(-rounds // cycles)


def cipher_slots(key_bits: int, cycles: int) -> int:
    """Blocks that can be inside the cipher: one in front of the rounds that are built, and two per round."""
    return 1 + 2 * unrolled_rounds(key_bits, cycles)


#: blocks of key stream that a queue holds at least: with fewer it would be no smaller
KEYSTREAM_LEAST = 32


def keystream_depth(key_bits: int, cycles: int) -> int:
    """Blocks that are made ahead of the data: room for everything inside, so that the cipher always takes what it
    can."""
    return max(KEYSTREAM_LEAST, 1 << (cipher_slots(key_bits, cycles) + 3).bit_length())
