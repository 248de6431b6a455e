"""Sealing and opening of single segments."""

import dataclasses
import random

import pytest
from Crypto.Cipher import AES

from hwgen.errors import HwgenError
from hwgen.seal import FLAG_ENCRYPTED, SEGMENT_BYTES, TAG_BYTES, Key, Segment, open_segment, seal_segment

KEY, ID, VERSION = Key(bytes(range(16))), b"01234567", 0x01020304


def segment(flags: int, size: int = 48) -> Segment:
    return Segment(index=0x0A0B0C0D, dest=0x11121314, flags=flags, payload=random.Random(1).randbytes(size))


def opened(item: Segment, sealed: bytes, *, key=KEY, image_id=ID, version=VERSION, **changes) -> Segment:
    header = {"index": item.index, "dest": item.dest, "flags": item.flags} | changes
    return open_segment(key, image_id, version, **header, sealed=sealed)


@pytest.mark.parametrize("flags", [0, 1, 0xFE, 0xFF])
@pytest.mark.parametrize("size", [16, 48, SEGMENT_BYTES])
def test_round_trip(flags, size):
    item = segment(flags, size)
    sealed = seal_segment(KEY, ID, VERSION, item)
    assert len(sealed) == size + TAG_BYTES
    assert (sealed[:-TAG_BYTES] == item.payload) == (not flags & FLAG_ENCRYPTED)
    assert opened(item, sealed) == item


@pytest.mark.parametrize("flags", [0, 1])
def test_layout_is_as_documented(flags):
    """Nonce and associated data, byte by byte."""
    item = segment(flags)
    nonce = b"01234567" + bytes.fromhex("0a0b0c0d")
    aad = b"01234567" + bytes.fromhex("04030201" "00000000" "0d0c0b0a" "14131211" "03000000") + bytes([flags, 0, 0, 0])
    cipher = AES.new(KEY.reveal(), AES.MODE_GCM, nonce=nonce)
    if flags:
        cipher.update(aad)
        expected = b"".join(cipher.encrypt_and_digest(item.payload))
    else:
        cipher.update(aad + item.payload)
        expected = item.payload + cipher.digest()
    assert seal_segment(KEY, ID, VERSION, item) == expected


@pytest.mark.parametrize("flags", [0, 1])
def test_every_change_is_refused(flags):
    item = segment(flags)
    sealed = seal_segment(KEY, ID, VERSION, item)
    for bit in random.Random(2).sample(range(8 * len(sealed)), 100):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(HwgenError, match="segment 168496141: authentication failed"):
            opened(item, bytes(changed))
    for change in ({"index": 1}, {"dest": 1}, {"flags": flags ^ 1}, {"flags": flags ^ 0x80}, {"key": Key(bytes(16))},
                   {"image_id": b"01234568"}, {"version": 1}):
        with pytest.raises(HwgenError, match="authentication failed"):
            opened(item, sealed, **change)
    with pytest.raises(HwgenError, match="authentication failed"):
        opened(item, sealed[16:])
    with pytest.raises(HwgenError, match="authentication failed"):
        opened(item, sealed[:-16])


@pytest.mark.parametrize(("change", "message"), [
    ({"payload": b""}, "a payload of 0 bytes"),
    ({"payload": bytes(15)}, "a payload of 15 bytes"),
    ({"payload": bytes(SEGMENT_BYTES + 16)}, "a payload of 16400 bytes"),
    ({"index": -1}, "index -1 is out of range"),
    ({"dest": 1 << 32}, "dest 4294967296 is out of range"),
    ({"flags": 256}, "flags 256 is out of range"),
])
def test_bad_segment(change, message):
    with pytest.raises(HwgenError, match=message):
        dataclasses.replace(segment(0), **change)


def test_bad_context():
    with pytest.raises(HwgenError, match="an image id of 7 bytes"):
        seal_segment(KEY, ID[:7], VERSION, segment(0))
    with pytest.raises(HwgenError, match="version -1 is out of range"):
        seal_segment(KEY, ID, -1, segment(0))
