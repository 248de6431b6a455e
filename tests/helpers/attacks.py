"""What someone who can write the storage may try: changed images whose checksums are right again."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from hwgen.compiler.result import CompiledNetwork
from hwgen.image.layout import TAG_BYTES, pack_header, parse_header
from hwgen.isa.layout import LoadFlag, LoadKind


@dataclass(frozen=True)
class Place:
    """A segment in the payload: payload bytes [offset, offset + length), then the tag."""

    index: int
    offset: int
    length: int
    kind: LoadKind
    encrypted: bool

    @property
    def end(self) -> int:
        """Behind the tag."""
        return self.offset + self.length + TAG_BYTES


@dataclass(frozen=True)
class Attack:
    """A changed image, and the segments of which one must be named."""

    name: str
    image: bytes
    segments: frozenset[int]


def places(network: CompiledNetwork) -> list[Place]:
    """All segments of an image of the network."""
    found = []
    for run in network.runs:
        offset = 16 * run.offset
        for number, chunk in enumerate(run.chunks()):
            place = Place(run.index + number, offset, len(chunk), run.kind, bool(run.flags >> LoadFlag.ENCRYPTED & 1))
            found.append(place)
            offset = place.end
    return found


def attacks(network: CompiledNetwork, image: bytes, others: dict[str, bytes]) -> Iterator[Attack]:
    """Every class of change.

    Args:
        others: images of the same network under the same key by name: earlier or later versions.
    """
    header, metadata = parse_header(image, "image")
    body = image[header.header_bytes:]
    segments = places(network)
    program = [s for s in segments if s.kind is LoadKind.PROGRAM]
    weights = [s for s in segments if s.kind is LoadKind.WEIGHTS]
    twins = [(a, b) for a in weights for b in weights if a.index < b.index and a.length == b.length]

    def attack(name: str, payload: bytes, *wrong: int, **changes: Any) -> Attack:
        fields = replace(header, payload_crc=zlib.crc32(payload), payload_beats=len(payload) // 16, **changes)
        return Attack(name, pack_header(fields, metadata) + payload, frozenset(wrong))

    def flipped(position: int) -> bytes:
        return body[:position] + bytes([body[position] ^ 0x10]) + body[position + 1:]

    chosen = {"program": program[0], "end of the program": program[-1], "last": segments[-1],
              **{what: next(s for s in weights if s.encrypted is encrypted)
                 for what, encrypted in (("encrypted", True), ("plain", False))
                 if any(s.encrypted is encrypted for s in weights)}}
    for what, segment in chosen.items():
        yield attack(f"payload, {what}", flipped(segment.offset + segment.length // 2), segment.index)
        yield attack(f"first byte, {what}", flipped(segment.offset), segment.index)
        yield attack(f"tag, {what}", flipped(segment.end - 1), segment.index)
    changed = {
        "nonce": {"image_id": bytes([header.image_id[0] ^ 1]) + header.image_id[1:]},
        "salt": {"salt": header.salt[:15] + bytes([header.salt[15] ^ 0x80])},
        "version": {"version": header.version + 1},
        "encryption of the program": {"program_flags": header.program_flags ^ 1 << LoadFlag.ENCRYPTED},
        "place of the program": {"program_offset": header.program_offset + 1},
    }
    for name, fields in changed.items():
        yield attack(f"header, {name}", body, program[0].index, **fields)
    yield attack("header, shorter program", body, program[-1].index, program_beats=header.program_beats - 1)

    last = segments[-1]
    yield attack("truncated", body[:last.offset], last.index)
    yield attack("truncated in a segment", body[:last.offset + 16], last.index)
    # both encrypted or both plain, if there are such
    first, second = min(twins, key=lambda pair: pair[0].encrypted != pair[1].encrypted)
    a, b = body[first.offset:first.end], body[second.offset:second.end]
    swapped = bytearray(body)
    swapped[first.offset:first.end], swapped[second.offset:second.end] = b, a
    yield attack("swapped", bytes(swapped), first.index, second.index)
    repeated = bytearray(body)
    repeated[second.offset:second.end] = a
    yield attack("repeated", bytes(repeated), second.index)
    tags = bytearray(body)
    tags[first.end - TAG_BYTES:first.end] = b[-TAG_BYTES:]
    yield attack("tag of another segment", bytes(tags), first.index)
    for name, other in others.items():
        mixed, theirs = bytearray(body), other[header.header_bytes:]
        mixed[first.offset:first.end] = theirs[first.offset:first.end]
        yield attack(f"a segment of the {name} image", bytes(mixed), first.index)
        yield attack(f"all segments of the {name} image", theirs, program[0].index)
