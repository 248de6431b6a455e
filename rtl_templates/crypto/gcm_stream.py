"""One decryptor channel: AES-GCM over a stream of segments."""

from amaranth.hdl import Module
from amaranth.lib import wiring

from rtl_templates.crypto.interfaces import rounds_of, segment_unit_members


class GcmStream(wiring.Component):
    """Decrypts and authenticates segments at one 16-byte beat per cycle.

    Args:
        key_bits: 128 or 256.

    Members:
        header: one per segment, in order, ahead of its data; at least two more are queued while a segment flows, so
            that their key stream is ready when their data comes. Not accepted while ``keys.valid`` is low.
        data: per segment ``length`` data beats, then one tag beat.
        out: plaintext, before the tag is verified: consumers release it only after ``status`` says ok.
        status: one per segment, in order, after its tag was checked.
        keys: from the key manager; may change only while the unit is idle or flushed.
        flush: drops and zeroises all state, key stream included; the unit is usable again when ``flush`` is low and
            it accepts headers.
        idle: no segment is in progress or waiting, and no flush is under way.

    Raises:
        ValueError: for another key size.
    """

    def __init__(self, *, key_bits: int = 128) -> None:
        rounds_of(key_bits)
        self.key_bits = key_bits
        super().__init__(segment_unit_members(key_bits))

    def elaborate(self, platform: object) -> Module:
        raise NotImplementedError
