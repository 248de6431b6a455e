"""An image under another key: the same plaintexts, and what did not open before does not open after."""

from __future__ import annotations

import numpy as np
import pytest

from hwgen.compiler import CompileOptions, compile_network
from hwgen.errors import HwgenError
from hwgen.image.reader import parse_image
from hwgen.image.reseal import reseal
from hwgen.image.sealing import ImageSealer, sealer_for
from hwgen.image.writer import build_image
from hwgen.seal import Key
from hwgen.verify.mutate import tamper
from tests.helpers.emulate import config_for
from tests.helpers.random_graphs import small_resnet

KEY, OTHER, WRONG = Key(bytes(range(16))), Key(bytes(range(50, 66))), Key(bytes(16))


def opened(image: bytes, key: Key) -> list[bytes | None]:
    """Plaintext of every segment, None where the tag does not match."""
    parsed = parse_image(image)
    sealer = ImageSealer.for_header(parsed.header, key)
    found: list[bytes | None] = []
    for segment in parsed.segments():
        try:
            found.append(segment.open(sealer))
        except HwgenError:
            found.append(None)
    return found


@pytest.fixture(scope="module")
def image() -> bytes:
    options = CompileOptions(encrypt=frozenset({"conv2"}))
    network = compile_network(small_resnet(np.random.default_rng(1), (16, 32), 8), config_for(16, 32), options)
    return build_image(network, sealer_for(network, KEY, 7))


def test_the_same_plaintexts_under_another_key(image: bytes) -> None:
    changed = reseal(image, KEY, OTHER)
    assert len(changed) == len(image)
    assert opened(changed, OTHER) == opened(image, KEY)
    assert None not in opened(changed, OTHER)
    assert set(opened(changed, KEY)) == {None}
    before, after = parse_image(image), parse_image(changed)
    assert (after.metadata, after.header.salt, after.header.image_id) == (
        before.metadata, before.header.salt, before.header.image_id)


def test_back_again_gives_the_first_image(image: bytes) -> None:
    assert reseal(reseal(image, KEY, OTHER), OTHER, KEY) == image


def test_a_tampered_segment_stays_so(image: bytes) -> None:
    bad = tamper(image, 8 * 5000 + 3)
    places = [n for n, plain in enumerate(opened(bad, KEY)) if plain is None]
    assert len(places) == 1
    assert [n for n, plain in enumerate(opened(reseal(bad, KEY, OTHER), OTHER)) if plain is None] == places


def test_a_wrong_key_stays_wrong(image: bytes) -> None:
    assert set(opened(reseal(image, WRONG, OTHER), OTHER)) == {None}


def test_no_image() -> None:
    with pytest.raises(HwgenError, match="not a model image"):
        reseal(b"nothing", KEY, OTHER)
