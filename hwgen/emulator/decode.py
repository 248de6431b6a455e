"""Program memory -> decoded descriptors."""

from __future__ import annotations

from dataclasses import dataclass

from hwgen.emulator.violation import require
from hwgen.isa import layout as isa
from hwgen.isa.layout import ISA_VERSION, LoadFlag, Opcode

_NO_LOAD_STEPS = {"wait_store": 0, "last_plane": 0, "offset_step": 0, "dest_step": 0, "row_words": 0}
_NO_STORE_STEPS = {"last_plane": 0, "src_step": 0, "offset_step": 0, "row_words": 0, "stored_beats": 0}


@dataclass(frozen=True)
class Program:
    """Decoded program: field dictionaries in order; end markers left out."""

    ring_lines: int
    loads: tuple[dict[str, int], ...]  #: with the fields of the step descriptor before it (0 without one)
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
    steps = _NO_LOAD_STEPS
    while True:
        data = words(at, isa.LOAD_WORDS)
        load = isa.decode(isa.LOAD_FIELDS, data)
        at += isa.LOAD_WORDS
        if load["flags"] >> LoadFlag.END & 1:
            break
        if load["flags"] >> LoadFlag.STEPS & 1:
            steps = isa.decode(isa.LOAD_STEP_FIELDS, data)
            continue
        loads.append({**{name: steps[name] for name in _NO_LOAD_STEPS}, **load})
        steps = _NO_LOAD_STEPS
    stores, at = [], store_at
    step = _NO_STORE_STEPS
    while True:
        data = words(at, isa.STORE_WORDS)
        store = isa.decode(isa.STORE_FIELDS, data)
        at += isa.STORE_WORDS
        if store["steps"]:
            step = isa.decode(isa.STORE_STEP_FIELDS, data)
            continue
        stores.append({**{name: step[name] for name in _NO_STORE_STEPS}, **store})
        step = _NO_STORE_STEPS
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
