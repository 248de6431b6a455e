"""Program memory -> decoded descriptors."""

from __future__ import annotations

from dataclasses import dataclass

from hwgen.emulator.violation import require
from hwgen.isa import layout as isa
from hwgen.isa.layout import ISA_VERSION, LoadFlag, Opcode


@dataclass(frozen=True)
class Program:
    """Decoded program: field dictionaries in order; end markers left out."""

    ring_lines: int
    loads: tuple[dict[str, int], ...]
    stores: tuple[dict[str, int], ...]
    computes: tuple[dict[str, int], ...]


def decode_program(image: bytes) -> Program:
    """Decode a program memory image.

    Raises:
        ContractViolation: wrong version, or a program that runs out of the image.
    """
    require(len(image) % isa.WORD_BYTES == 0 and len(image) >= isa.WORD_BYTES, "program of odd length")
    header = int.from_bytes(image[:isa.WORD_BYTES], "little")
    compute_at, load_at, store_at = header & 0xFFFF, header >> 16 & 0xFFFF, header >> 32 & 0xFFFF
    ring_lines, version, rest = header >> 48 & 0xFFFFFF, header >> 72 & 0xFF, header >> 80
    require(version == ISA_VERSION and rest == 0, f"program header of version {version}")

    def words(at: int, count: int) -> bytes:
        require((at + count) * isa.WORD_BYTES <= len(image), f"program runs out of its image at word {at}")
        return image[at * isa.WORD_BYTES:(at + count) * isa.WORD_BYTES]

    loads, at = [], load_at
    while True:
        load = isa.decode(isa.LOAD_FIELDS, words(at, isa.LOAD_WORDS))
        at += isa.LOAD_WORDS
        if load["flags"] >> LoadFlag.END & 1:
            break
        loads.append(load)
    stores, at = [], store_at
    while True:
        stores.append(isa.decode(isa.STORE_FIELDS, words(at, isa.STORE_WORDS)))
        at += isa.STORE_WORDS
        if stores[-1]["last"]:
            break
    computes, at = [], compute_at
    while True:
        compute = isa.decode(isa.COMPUTE_FIELDS, words(at, isa.COMPUTE_WORDS))
        at += isa.COMPUTE_WORDS
        if compute["opcode"] == Opcode.END:
            break
        computes.append(compute)
    return Program(ring_lines, tuple(loads), tuple(stores), tuple(computes))
