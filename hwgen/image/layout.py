"""The image header's field table and its checks (docs/image-format.md)."""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from dataclasses import dataclass

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.errors import HwgenError

MAGIC = b"HWGENIMG"
FORMAT_VERSION = 1
PAYLOAD_ALIGN = 4096
FIXED_BYTES = 128
TAG_BYTES = 16
DEBUG_FLAG = 1
_STRUCT = struct.Struct("<8sHBBI8sII16s16sIIBBHIIIII28sI")
assert _STRUCT.size == FIXED_BYTES


@dataclass(frozen=True, kw_only=True)
class ImageHeader:
    """Header fields, named as in docs/image-format.md."""

    isa_version: int
    image_flags: int
    header_bytes: int
    image_id: bytes
    version: int
    salt: bytes
    config_fingerprint: bytes
    program_offset: int
    program_beats: int
    program_flags: int
    program_segment_log2: int
    program_index: int
    segments: int
    payload_beats: int
    metadata_bytes: int
    payload_crc: int

    @property
    def debug(self) -> bool:
        """The image stores every layer."""
        return bool(self.image_flags & DEBUG_FLAG)


def config_fingerprint(config: AcceleratorConfig) -> bytes:
    """First 16 bytes of SHA-256 of the configuration as canonical JSON (sorted keys, no spaces)."""
    text = json.dumps(config.to_dict(), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).digest()[:16]


def pack_header(header: ImageHeader, metadata: bytes) -> bytes:
    """Header and metadata, zero-padded to ``header_bytes``, with the header's checksum."""
    fixed = _STRUCT.pack(
        MAGIC, FORMAT_VERSION, header.isa_version, header.image_flags, header.header_bytes, header.image_id,
        header.version, 0,
        header.salt, header.config_fingerprint, header.program_offset, header.program_beats, header.program_flags,
        header.program_segment_log2, 0, header.program_index, header.segments, header.payload_beats,
        header.metadata_bytes, header.payload_crc, bytes(28), 0,
    )
    whole = (fixed + metadata).ljust(header.header_bytes, b"\0")
    return whole[:124] + zlib.crc32(whole).to_bytes(4, "little") + whole[128:]


def parse_header(data: bytes, where: str) -> tuple[ImageHeader, bytes]:
    """Header and metadata bytes of an image file's content.

    Raises:
        HwgenError: no image, of another version, truncated, or damaged.
    """
    if len(data) < FIXED_BYTES or data[:8] != MAGIC:
        raise HwgenError("not a model image (wrong magic)", where=where, hint="made by `hwgen build`")
    (_, version, isa, flags, header_bytes, image_id, image_version, _, salt, fingerprint, offset, beats, program_flags,
     log2, _, index, segments, payload_beats, metadata_bytes, payload_crc, _, crc) = _STRUCT.unpack(data[:FIXED_BYTES])
    if version != FORMAT_VERSION:
        raise HwgenError(f"image format version {version}", where=where, allowed=str(FORMAT_VERSION))
    whole = data[:header_bytes]
    if len(whole) < header_bytes or header_bytes < FIXED_BYTES + metadata_bytes:
        raise HwgenError(f"truncated: {len(data)} bytes, the header alone has {header_bytes}", where=where)
    if zlib.crc32(whole[:124] + bytes(4) + whole[128:]) != crc:
        raise HwgenError("damaged header (checksum)", where=where)
    header = ImageHeader(
        isa_version=isa, image_flags=flags, header_bytes=header_bytes, image_id=image_id, version=image_version,
        salt=salt, config_fingerprint=fingerprint, program_offset=offset, program_beats=beats,
        program_flags=program_flags, program_segment_log2=log2, program_index=index, segments=segments,
        payload_beats=payload_beats, metadata_bytes=metadata_bytes, payload_crc=payload_crc,
    )
    return header, data[FIXED_BYTES:FIXED_BYTES + metadata_bytes]
