"""Reads an image file's header (docs/image-format.md). The driver ships alone, so this parser depends on nothing."""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import DriverError

MAGIC = b"HWGENIMG"
FORMAT_VERSION = 1
_FIXED = struct.Struct("<8sHBBI8sII16s16sIIBBHIIIII28sI")
_CRC_AT = 124


@dataclass(frozen=True)
class Image:
    """An image: what goes to the registers, what goes to memory, and how input and output are laid out."""

    isa_version: int
    debug: bool
    image_id: int
    version: int
    salt: bytes
    config_fingerprint: bytes
    program_offset: int
    program_beats: int
    program_flags: int
    program_segment_log2: int
    payload: bytes
    metadata: dict[str, Any]

    @classmethod
    def load(cls, path: str | Path) -> Image:
        """Read an image file; see ``parse``."""
        return cls.parse(Path(path).read_bytes(), str(path))

    @classmethod
    def parse(cls, data: bytes, where: str = "image") -> Image:
        """Parse a whole image file.

        Raises:
            DriverError: it is no image, of another format version, truncated or damaged.
        """
        if len(data) < _FIXED.size or data[:8] != MAGIC:
            raise DriverError(f"{where}: not a hwgen image")
        (_, format_version, isa_version, flags, header_bytes, image_id, version, _, salt, fingerprint, offset, beats,
         program_flags, segment_log2, _, index, _, payload_beats, metadata_bytes, payload_crc, _,
         header_crc) = _FIXED.unpack_from(data)
        if format_version != FORMAT_VERSION:
            raise DriverError(f"{where}: image format {format_version}, this driver reads {FORMAT_VERSION}")
        header, payload = data[:header_bytes], data[header_bytes:header_bytes + 16 * payload_beats]
        if len(header) < header_bytes or len(payload) < 16 * payload_beats:
            raise DriverError(f"{where}: truncated: {len(data)} bytes of {header_bytes + 16 * payload_beats}")
        if zlib.crc32(header[:_CRC_AT] + bytes(4) + header[_CRC_AT + 4:]) != header_crc:
            raise DriverError(f"{where}: damaged header")
        if zlib.crc32(payload) != payload_crc:
            raise DriverError(f"{where}: damaged payload")
        if index != 0:
            raise DriverError(f"{where}: the program begins at segment {index}, not 0")
        try:
            metadata = json.loads(header[_FIXED.size:_FIXED.size + metadata_bytes])
        except ValueError as error:
            raise DriverError(f"{where}: damaged metadata") from error
        return cls(isa_version=isa_version, debug=bool(flags & 1), image_id=int.from_bytes(image_id, "little"),
                   version=version, salt=salt, config_fingerprint=fingerprint, program_offset=offset,
                   program_beats=beats, program_flags=program_flags, program_segment_log2=segment_log2,
                   payload=payload, metadata=metadata)
