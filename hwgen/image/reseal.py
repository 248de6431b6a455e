"""The same image under another key, for runs that record everything that happens inside the accelerator."""

from __future__ import annotations

import zlib
from dataclasses import replace

from hwgen.errors import HwgenError
from hwgen.image.layout import pack_header, parse_header
from hwgen.image.reader import Segment, parse_image
from hwgen.image.sealer import associated_flags
from hwgen.image.sealing import ImageSealer
from hwgen.seal import Key


def reseal(image: bytes, master: Key, other: Key) -> bytes:
    """``image``, sealed under ``master``, as the hardware must see it to behave the same with the key ``other``.

    Header, metadata, sizes and plaintexts stay. A segment whose tag does not match under ``master`` (a tampered image,
    a wrong key) gets a tag that does not match under ``other`` either. No bit of the result depends on ``master``
    beyond salt and image id, which every image shows anyway.

    Args:
        other: used for this image only; nonces are those of ``image``.

    Raises:
        HwgenError: no readable image.
    """
    parsed = parse_image(image)
    old, new = (ImageSealer.for_header(parsed.header, key) for key in (master, other))
    payload = b"".join(_reseal_segment(segment, old, new) for segment in parsed.segments())
    # what no run describes stays as it is, so that the payload keeps its length
    payload += parsed.payload[len(payload):]
    header, metadata = parse_header(image, "image")
    return pack_header(replace(header, payload_crc=zlib.crc32(payload)), metadata) + payload


def _reseal_segment(segment: Segment, old: ImageSealer, new: ImageSealer) -> bytes:
    try:
        plain, valid = segment.open(old), True
    except HwgenError:
        plain, valid = segment.stored[:-16], False
    flags = associated_flags(segment.run.kind, segment.run.flags)
    stored = new.seal(segment.index, segment.run.dest, flags, plain)
    return stored if valid else stored[:-1] + bytes([stored[-1] ^ 1])
