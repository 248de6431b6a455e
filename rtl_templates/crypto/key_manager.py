"""The one place that holds keys: master key in, per-image key material out, nothing readable over a bus."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl_templates.crypto.interfaces import KeyBus, KeyWord, rounds_of


class KeyManager(wiring.Component):
    """Holds the master key, derives the per-image key and everything the segment units need of it.

    Args:
        key_bits: 128 or 256, master and per-image key alike.

    Members:
        key_write: one word of the master key per transfer, always ready; ignored (not stored) while ``locked``.
            The first word written after a commit or zeroise drops the old key and everything derived from it.
        key_commit: strobe; the words written are the master key from now on. Ignored while ``locked``.
        lock: strobe; no key can be written until reset. Zeroise still works.
        zeroise: strobe or level; clears the master key and everything derived from it in one cycle.
        start: strobe; derives the key of the image named by ``salt``, ``image_id`` and ``version``. Ready at once (next
            cycle) if neither these nor the master key changed since the last derivation. Ignored while ``busy``.
        salt: 16 bytes of the image header.
        image_id: 8 bytes of the image header.
        version: of the image header, authenticated with each segment.
        keys: key material for the segment units; ``keys.valid`` is the "ready" of this component.
        busy: a derivation is running.
        key_loaded: a master key has been committed.
        locked: the lock is set.
        no_key: strobe; ``start`` came without a committed key, nothing was started.

    Raises:
        ValueError: for another key size.
    """

    def __init__(self, *, key_bits: int = 128) -> None:
        rounds_of(key_bits)
        self.key_bits = key_bits
        super().__init__({
            "key_write": In(stream.Signature(KeyWord, always_ready=True)),
            "key_commit": In(1),
            "lock": In(1),
            "zeroise": In(1),
            "start": In(1),
            "salt": In(128),
            "image_id": In(64),
            "version": In(32),
            "keys": Out(KeyBus(key_bits)),
            "busy": Out(1),
            "key_loaded": Out(1),
            "locked": Out(1),
            "no_key": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        raise NotImplementedError
