"""Seals and opens the segments of an image with AES-GCM (``hwgen.seal``)."""

from __future__ import annotations

from dataclasses import dataclass, field

from hwgen.compiler.result import CompiledNetwork
from hwgen.config.accelerator import Crypto
from hwgen.errors import HwgenError
from hwgen.image.layout import ImageHeader
from hwgen.image.sealer import Sealer, Unsealed, associated_flags
from hwgen.seal import Key, Segment, derive_image_key, open_segment, seal_segment
from hwgen.seal.image import image_id, image_salt


@dataclass(frozen=True)
class ImageSealer:
    """A ``Sealer`` under one image's key."""

    key: Key = field(repr=False)
    salt: bytes
    image_id: bytes
    version: int

    @classmethod
    def for_network(cls, network: CompiledNetwork, master: Key, version: int = 0) -> ImageSealer:
        """The sealer of a new image: salt and identity follow from its contents, so builds are reproducible.

        Raises:
            HwgenError: the key's size is not that of the configuration.
        """
        if master.bits != network.config.aes_key_bits:
            allowed = f"{network.config.aes_key_bits} bits"
            raise HwgenError(f"a key of {master.bits} bits", where="seal", allowed=allowed)
        salt = image_salt(master, version, network_segments(network))
        return cls(derive_image_key(master, salt), salt, image_id(salt), version)

    @classmethod
    def for_header(cls, header: ImageHeader, master: Key) -> ImageSealer:
        """The sealer that opens an existing image."""
        return cls(derive_image_key(master, header.salt), header.salt, header.image_id, header.version)

    def seal(self, index: int, dest: int, flags: int, payload: bytes) -> bytes:
        """Stored payload and tag."""
        segment = Segment(index=index, dest=dest, flags=flags, payload=payload)
        return seal_segment(self.key, self.image_id, self.version, segment)

    def open(self, index: int, dest: int, flags: int, stored: bytes) -> bytes:
        """Plaintext; HwgenError when the tag does not match."""
        return open_segment(self.key, self.image_id, self.version, index=index, dest=dest, flags=flags,
                            sealed=stored).payload


def network_segments(network: CompiledNetwork) -> tuple[Segment, ...]:
    """All segments of a compiled network in payload order, in plaintext."""
    return tuple(
        Segment(index=run.index + number, dest=run.dest, flags=associated_flags(run.kind, run.flags), payload=chunk)
        for run in network.runs for number, chunk in enumerate(run.chunks()))


def sealer_for(network: CompiledNetwork, master: Key | None, version: int = 0) -> Sealer:
    """``ImageSealer``, or for engines without crypto (``Crypto.BYPASS``) ``Unsealed``.

    Raises:
        HwgenError: no key for an engine with crypto, or one of the wrong size.
    """
    if network.config.crypto == Crypto.BYPASS:
        return Unsealed()
    if master is None:
        raise HwgenError("no key for an engine with a crypto unit", where="seal")
    return ImageSealer.for_network(network, master, version)
