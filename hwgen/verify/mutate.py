"""Faults that are planted on purpose: the proof must find each of them, or it proves nothing."""

from __future__ import annotations

import zlib
from dataclasses import replace

import numpy as np

from hwgen.compiler.result import CompiledNetwork
from hwgen.errors import HwgenError
from hwgen.image.layout import pack_header, parse_header
from hwgen.isa.layout import COMPUTE_FIELDS, COMPUTE_WORDS, WORD_BYTES, LoadKind, decode

KINDS = ("weight", "descriptor", "result")


def flip_bit(data: bytes, bit: int) -> bytes:
    """``data`` with one bit changed."""
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def flip_weight_bit(network: CompiledNetwork, run: int = -1, bit: int = -1) -> CompiledNetwork:
    """One bit of the weight stream changed before sealing: by default the top bit of the last weight that is not 0."""
    numbers = [n for n, r in enumerate(network.runs) if r.kind == LoadKind.WEIGHTS]
    number = numbers[run]
    payload = network.runs[number].payload
    if bit < 0:
        used = np.flatnonzero(np.frombuffer(payload, np.uint8))
        bit = 8 * int(used[-1]) + 6
    runs = list(network.runs)
    runs[number] = replace(runs[number], payload=flip_bit(payload, bit))
    return replace(network, runs=tuple(runs))


def flip_descriptor_bit(network: CompiledNetwork, descriptor: int = 0, field: str = "src_base") -> CompiledNetwork:
    """The lowest bit of one field of one compute descriptor changed in the program, before sealing."""
    program = network.runs[0].payload
    offset, width = 0, 0
    for f in COMPUTE_FIELDS:
        if f.name == field:
            width = f.width
            break
        offset += f.width
    if not width:
        raise HwgenError(f"no descriptor field {field!r}")
    begin = int.from_bytes(program[:2], "little") + descriptor * COMPUTE_WORDS
    decode(COMPUTE_FIELDS, program[begin * WORD_BYTES:(begin + COMPUTE_WORDS) * WORD_BYTES])
    changed = replace(network.runs[0], payload=flip_bit(program, begin * WORD_BYTES * 8 + offset))
    return replace(network, runs=(changed, *network.runs[1:]))


def tamper(image: bytes, bit: int) -> bytes:
    """An image file with one stored payload bit changed and its checksums made right again, as an attacker would.

    Args:
        bit: counted from the start of the payload; taken modulo its length.
    """
    header, text = parse_header(image, "image")
    payload = image[header.header_bytes:]
    payload = flip_bit(payload, bit % (8 * len(payload)))
    return pack_header(replace(header, payload_crc=zlib.crc32(payload)), text) + payload


def flip_result_bit(output: np.ndarray, bit: int = 0) -> np.ndarray:
    """One bit of one result changed behind the hardware."""
    changed = np.array(output)
    changed.reshape(-1)[0] ^= np.array(1 << bit, changed.dtype)
    return changed
