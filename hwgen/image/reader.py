"""Model image -> header, metadata, segments."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.errors import HwgenError
from hwgen.image.io_layout import InputLayout, OutputLayout
from hwgen.image.layout import TAG_BYTES, ImageHeader, config_fingerprint, parse_header
from hwgen.image.sealer import Sealer, associated_flags


@dataclass(frozen=True)
class ImageRun:
    """A run of the payload; fields as in the load descriptor."""

    kind: int
    flags: int
    segment_log2: int
    beats: int
    offset: int
    dest: int
    index: int

    @property
    def segments(self) -> int:
        """Number of segments."""
        return -(-self.beats // (1 << self.segment_log2))


@dataclass(frozen=True)
class Segment:
    """A stored segment: ``stored`` is the payload (ciphertext when encrypted) and its tag."""

    index: int
    run: ImageRun
    stored: bytes = field(repr=False)

    def open(self, sealer: Sealer) -> bytes:
        """Plaintext; HwgenError when the tag does not match."""
        return sealer.open(self.index, self.run.dest, associated_flags(self.run.kind, self.run.flags), self.stored)


@dataclass(frozen=True)
class Image:
    """A parsed image; what is encrypted stays so."""

    header: ImageHeader
    metadata: dict[str, Any] = field(repr=False)
    config: AcceleratorConfig
    input: InputLayout
    output: OutputLayout
    runs: tuple[ImageRun, ...]
    payload: bytes = field(repr=False)

    @property
    def dumps(self) -> tuple[tuple[str, OutputLayout], ...]:
        """(tensor name, layout) of the inner tensors that a debug image stores."""
        return tuple((d["name"], OutputLayout.from_dict({k: v for k, v in d.items() if k != "name"}))
                     for d in self.metadata["dumps"])

    def segments(self) -> Iterator[Segment]:
        """All segments in payload order."""
        for run in self.runs:
            at, left = 16 * run.offset, run.beats
            for number in range(run.segments):
                beats = min(left, 1 << run.segment_log2)
                size = 16 * beats + TAG_BYTES
                yield Segment(run.index + number, run, self.payload[at:at + size])
                at, left = at + size, left - beats


def read_image(path: Path) -> Image:
    """Read and check an image file.

    Raises:
        HwgenError: unreadable, truncated, damaged, or contradictory.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise HwgenError(f"cannot be read: {error.strerror}", where=str(path)) from error
    return parse_image(data, str(path))


def parse_image(data: bytes, where: str = "image") -> Image:
    """Parse an image file's content; raises as ``read_image``."""
    header, text = parse_header(data, where)
    payload = data[header.header_bytes:]
    if len(payload) != 16 * header.payload_beats:
        raise HwgenError(f"truncated: the payload has {len(payload)} bytes of {16 * header.payload_beats}", where=where)
    if zlib.crc32(payload) != header.payload_crc:
        raise HwgenError("damaged payload (checksum)", where=where)
    try:
        metadata = json.loads(text)
        config = AcceleratorConfig.from_dict(metadata["config"])
        runs = tuple(ImageRun(**run) for run in metadata["runs"])
        image = Image(header, metadata, config, InputLayout.from_dict(metadata["input"]),
                      OutputLayout.from_dict(metadata["output"]), runs, payload)
    except (ValueError, KeyError, TypeError) as error:
        raise HwgenError(f"metadata cannot be understood: {error}", where=where) from error
    if config_fingerprint(config) != header.config_fingerprint:
        raise HwgenError("the configuration in the metadata is not that of the fingerprint", where=where)
    end = max((16 * (r.offset + r.beats + r.segments) for r in image.runs), default=0)
    if end > len(payload) or sum(r.segments for r in image.runs) != header.segments:
        raise HwgenError("the runs do not fit the payload", where=where)
    return image
