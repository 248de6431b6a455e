"""The driver's own image parser against the writer."""

import dataclasses
import zlib

import numpy as np
import pytest

from hwgen.driver import DriverError, Image
from hwgen.image.layout import ImageHeader, pack_header

METADATA = b'{"model": "m", "input": {"bytes": 16}, "output": {}, "output_bytes": 32, "dumps": []}'


def make(**changes) -> tuple[ImageHeader, bytes]:
    payload = np.random.default_rng(1).bytes(16 * 300)
    header = ImageHeader(
        isa_version=3, image_flags=1, header_bytes=4096, image_id=bytes(range(8)), version=7, salt=bytes(range(16)),
        config_fingerprint=bytes(range(16, 32)), program_offset=5, program_beats=129, program_flags=1,
        program_segment_log2=7, program_index=0, segments=9, payload_beats=300, metadata_bytes=len(METADATA),
        payload_crc=zlib.crc32(payload))
    header = dataclasses.replace(header, **changes)
    return header, pack_header(header, METADATA) + payload


def test_fields():
    header, data = make()
    image = Image.parse(data)
    assert (image.isa_version, image.debug, image.version) == (3, True, 7)
    assert image.image_id == int.from_bytes(header.image_id, "little")
    assert image.salt == header.salt and image.config_fingerprint == header.config_fingerprint
    assert (image.program_offset, image.program_beats) == (5, 129)
    assert (image.program_flags, image.program_segment_log2) == (1, 7)
    assert image.payload == data[4096:] and image.metadata["output_bytes"] == 32


def test_file(tmp_path):
    _, data = make()
    (tmp_path / "model.img").write_bytes(data)
    assert Image.load(tmp_path / "model.img") == Image.parse(data)


@pytest.mark.parametrize("damage,text", [
    (lambda d: b"", "not a hwgen image"),
    (lambda d: b"X" + d[1:], "not a hwgen image"),
    (lambda d: d[:8] + b"\x09" + d[9:], "image format 9, this driver reads 1"),
    (lambda d: d[:2000], "truncated"),
    (lambda d: d[:-1], "truncated"),
    (lambda d: d[:50] + bytes([d[50] ^ 1]) + d[51:], "damaged header"),
    (lambda d: d[:130] + b"X" + d[131:], "damaged header"),
    (lambda d: d[:-1] + bytes([d[-1] ^ 1]), "damaged payload"),
])
def test_damage(damage, text):
    with pytest.raises(DriverError, match=text):
        Image.parse(damage(make()[1]))


def test_program_must_come_first():
    with pytest.raises(DriverError, match="segment 4, not 0"):
        Image.parse(make(program_index=4)[1])
