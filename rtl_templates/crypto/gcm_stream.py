"""One decryptor (or encryptor) channel: AES-GCM over a stream of segments."""

from amaranth.hdl import Cat, Const, Module, Mux, ResetInserter, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import connect, flipped

from rtl_templates.crypto.gcm_core import GcmCore
from rtl_templates.crypto.header_queue import HeaderQueue
from rtl_templates.crypto.interfaces import FLAG_ENCRYPTED, SegmentHeader, segment_unit_members
from rtl_templates.crypto.timing import unrolled_rounds


def reversed_bytes(value: Value) -> Value:
    """A 32-bit number with its bytes in the opposite order."""
    return Cat(value[8 * i:8 * i + 8] for i in reversed(range(4)))


def associated_block(header: "data.View[data.StructLayout] | SegmentHeader") -> Value:
    """Second block of associated data: index, destination, length, flags, 32-bit little-endian each."""
    return Cat(header.index, header.dest, header.length, Const(0, 16), header.flags, Const(0, 24))


class GcmStream(wiring.Component):
    """Decrypts and authenticates segments at one 16-byte beat per cycle, or where the cipher is not all there, at its
    rate (plain segments, which need one block of key stream each, at one beat per cycle).

    Args:
        key_bits: 128 or 256.
        aes_cycles: cycles per encrypted beat.
        encrypt: it encrypts instead: ``data`` is ``length`` beats of plaintext, ``out`` the same of ciphertext and the
            tag; ``status`` says only that the tag is on its way.

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
        ValueError: for another key size or an impossible number of cycles.
    """

    def __init__(self, *, key_bits: int = 128, aes_cycles: int = 1, encrypt: bool = False) -> None:
        unrolled_rounds(key_bits, aes_cycles)
        self.encrypt = encrypt
        self.key_bits = key_bits
        self.aes_cycles = aes_cycles
        super().__init__(segment_unit_members(key_bits))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.core = core = GcmCore(key_bits=self.key_bits, aes_cycles=self.aes_cycles,
                                           encrypt=self.encrypt)
        m.submodules.headers = headers = ResetInserter(core.flushing)(HeaderQueue())
        connect(m, core.data, flipped(self.data))
        connect(m, core.out, flipped(self.out))
        connect(m, core.status, flipped(self.status))
        ahead, behind = headers.ahead.p, headers.behind.p
        encrypted = Signal()
        m.d.comb += [
            core.flush.eq(self.flush | ~self.keys.valid),
            core.round_keys.eq(self.keys.round_keys),
            core.h_powers.eq(self.keys.h_powers),
            headers.i.payload.eq(self.header.payload),
            headers.i.valid.eq(self.header.valid & ~core.flushing),
            self.header.ready.eq(headers.i.ready & ~core.flushing),
            self.idle.eq(headers.empty & core.idle),

            core.counters.valid.eq(headers.ahead.valid),
            headers.ahead.ready.eq(core.counters.ready),
            core.counters.p.iv.eq(Cat(self.keys.image_id, reversed_bytes(ahead.index))),
            core.counters.p.blocks.eq(Mux(ahead.flags[FLAG_ENCRYPTED], ahead.length, 0)),

            core.message.valid.eq(headers.behind.valid),
            headers.behind.ready.eq(core.message.ready),
            encrypted.eq(behind.flags[FLAG_ENCRYPTED]),
            # the first block of associated data is the same for all segments: the key manager has hashed it
            core.message.p.head.eq(self.keys.aad_base ^ associated_block(behind)),
            core.message.p.has_head.eq(1),
            core.message.p.beats.eq(behind.length),
            core.message.p.long.eq(headers.behind_long),
            core.message.p.clear.eq(Mux(encrypted, 0, behind.length)),
            core.message.p.aad_bits.eq((Mux(encrypted, 0, behind.length) + 2) << 7),
            core.message.p.text_bits.eq(Mux(encrypted, behind.length, 0) << 7),
            core.message.p.label.eq(behind.index),
        ]
        return m
