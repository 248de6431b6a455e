"""Sealing of images: reproducible, and never one nonce for two contents."""

import dataclasses
import random

import pytest

from hwgen.errors import HwgenError
from hwgen.seal import Key, Segment, derive_image_key, open_segment, seal_image

MASTER = Key(bytes(range(32)))


def image() -> list[Segment]:
    rng = random.Random(1)
    return [Segment(index=i, dest=64 * i, flags=i % 2, payload=rng.randbytes(64)) for i in range(4)]


def test_reproducible_and_openable():
    first, second = seal_image(MASTER, 5, image()), seal_image(MASTER, 5, image())
    assert first == second
    key = derive_image_key(MASTER, first.salt)
    for segment, body in zip(image(), first.bodies, strict=True):
        assert open_segment(key, first.image_id, 5, index=segment.index, dest=segment.dest, flags=segment.flags,
                            sealed=body) == segment


def test_any_difference_gives_another_key():
    base = image()
    variants = [
        (MASTER, 6, base),
        (Key(bytes(32)), 5, base),
        (MASTER, 5, base[:3]),
        (MASTER, 5, base[::-1]),
        *((MASTER, 5, [*base[:3], dataclasses.replace(base[3], **change)]) for change in (
            {"index": 7}, {"dest": 1}, {"flags": 3}, {"payload": base[3].payload[:-1] + b"\0"})),
        # the same bytes, cut differently
        (MASTER, 5, [dataclasses.replace(base[0], payload=base[0].payload[:32]),
                     dataclasses.replace(base[1], payload=base[0].payload[32:] + base[1].payload), *base[2:]]),
    ]
    sealed = [seal_image(MASTER, 5, base), *(seal_image(*variant) for variant in variants)]
    assert len({s.salt for s in sealed}) == len(sealed)
    assert len({s.image_id for s in sealed}) == len(sealed)


def test_index_twice():
    segments = image()
    with pytest.raises(HwgenError, match="segment 0: the index occurs twice"):
        seal_image(MASTER, 0, [*segments, segments[0]])
