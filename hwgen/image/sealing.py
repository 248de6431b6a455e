"""Between the compiler's runs and the crypto: segments with their associated data, sealed and opened."""

from __future__ import annotations

from collections.abc import Callable

from hwgen.compiler.result import CompiledNetwork
from hwgen.config.accelerator import Crypto
from hwgen.errors import HwgenError
from hwgen.image.layout import TAG_BYTES, ImageHeader
from hwgen.seal import Key, SealedImage, Segment, derive_image_key, open_segment, seal_image

#: (index, dest, associated flags, stored payload and tag) -> plaintext; HwgenError when the tag does not match
Opener = Callable[[int, int, int, bytes], bytes]


def associated_flags(kind: int, flags: int) -> int:
    """The byte of associated data that the load unit forms: load flags in bits 0..5, kind in bits 6 and 7."""
    return flags | kind << 6


def network_segments(network: CompiledNetwork) -> tuple[Segment, ...]:
    """All segments of a compiled network in payload order, in plaintext."""
    return tuple(
        Segment(index=run.index + number, dest=run.dest, flags=associated_flags(run.kind, run.flags), payload=chunk)
        for run in network.runs for number, chunk in enumerate(run.chunks()))


def seal_network(network: CompiledNetwork, key: Key | None, version: int = 0) -> SealedImage:
    """Seal all segments.

    Args:
        key: master key; None only for engines without crypto (``Crypto.BYPASS``): plaintext and tags of zeros.

    Raises:
        HwgenError: no key, or one of the wrong size for the configuration.
    """
    segments = network_segments(network)
    if key is None:
        if network.config.crypto != Crypto.BYPASS:
            raise HwgenError("no key for an engine with a crypto unit", where="seal")
        bodies = tuple(segment.payload + bytes(TAG_BYTES) for segment in segments)
        return SealedImage(salt=bytes(16), image_id=bytes(8), version=version, bodies=bodies)
    if network.config.crypto != Crypto.BYPASS and key.bits != network.config.aes_key_bits:
        raise HwgenError(f"a key of {key.bits} bits", where="seal", allowed=f"{network.config.aes_key_bits} bits")
    return seal_image(key, version, segments)


def opener_for(header: ImageHeader, key: Key | None) -> Opener:
    """Opens the segments of an image; without a key it takes plaintext as it is and checks nothing."""
    if key is None:
        return lambda index, dest, flags, stored: stored[:-TAG_BYTES]
    image_key = derive_image_key(key, header.salt)

    def open_one(index: int, dest: int, flags: int, stored: bytes) -> bytes:
        return open_segment(image_key, header.image_id, header.version, index=index, dest=dest, flags=flags,
                            sealed=stored).payload

    return open_one
