"""AES-GCM (NIST SP 800-38D) of messages of whole beats, with any nonce and associated data."""

from amaranth.hdl import Module, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from rtl_templates.crypto.aes_pipeline import AesPipeline
from rtl_templates.crypto.counter_feeder import CounterFeeder, CounterRequest
from rtl_templates.crypto.gcm_engine import GcmEngine, GcmMessage
from rtl_templates.crypto.ghash import Ghash
from rtl_templates.crypto.interfaces import H_POWERS, DataBeat, PlainBeat, SegmentStatus
from rtl_templates.crypto.keystream_fifo import KeystreamFifo
from rtl_templates.crypto.timing import keystream_depth, rounds_of


class GcmCore(wiring.Component):
    """Key stream, hash and tag check, at one beat per cycle and one cycle more per message.

    Encrypted beats come at the rate of the cipher (one per ``aes_cycles`` cycles) when the key stream queue is empty.

    A message may end within its last beat (``aad_bits``, ``text_bits``): such a beat must be padded with zeros, for
    associated data and ciphertext alike, and its plaintext is undefined behind the end.

    Latency: ``data`` to ``out`` one cycle; tag beat to ``status`` five cycles; ``counters`` to the first decrypted beat
    ``AesPipeline.latency`` + 1.

    Args:
        key_bits: 128 or 256.
        aes_cycles: cycles per block of key stream, see ``AesPipeline``.
        encrypt: authenticated encryption instead of decryption, see ``GcmEngine``.

    Members:
        round_keys, h_powers: as on the key bus.
        counters: nonce and number of key stream blocks (``beats - clear``) per message, ahead of the data.
        message: one per message, taken with its tag beat.
        data: ``beats`` beats and a tag beat per message.
        out: every beat but the tag's, plaintext.
        status: one per message; ``index`` is the message's ``label``.
        flush: drops everything. Registers are zeroised two cycles later, memories within ``depth`` + 1 cycles.
        flushing: nothing is accepted.
        idle: nothing is under way on the data side.

    Raises:
        ValueError: for another key size or an impossible number of cycles.
    """

    def __init__(self, *, key_bits: int = 128, aes_cycles: int = 1, encrypt: bool = False) -> None:
        self.key_bits, self.encrypt = key_bits, encrypt
        self.aes = AesPipeline(key_bits=key_bits, cycles=aes_cycles)
        self.depth = keystream_depth(key_bits, aes_cycles)
        super().__init__({
            "round_keys": In(128 * (rounds_of(key_bits) + 1)),
            "h_powers": In(128 * H_POWERS),
            "counters": In(stream.Signature(CounterRequest)),
            "message": In(stream.Signature(GcmMessage)),
            "data": In(stream.Signature(DataBeat)),
            "out": Out(stream.Signature(PlainBeat)),
            "status": Out(stream.Signature(SegmentStatus)),
            "flush": In(1),
            "flushing": Out(1, init=1),
            "idle": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        clear = self.flushing
        dropped = ResetInserter(clear)
        m.submodules.feeder = feeder = dropped(CounterFeeder(depth=self.depth))
        m.submodules.aes = aes = dropped(self.aes)
        m.submodules.engine = engine = dropped(GcmEngine(encrypt=self.encrypt))
        m.submodules.keystream = keystream = KeystreamFifo(depth=self.depth)
        m.submodules.ghash = ghash = Ghash()

        left = Signal(range(self.depth + 1), init=self.depth)
        with m.If(self.flush & ~clear):
            m.d.sync += left.eq(self.depth)
        with m.Elif(left != 0):
            m.d.sync += left.eq(left - 1)
        m.d.sync += clear.eq(self.flush | (left > 1))

        connect(m, engine.keystream, keystream.o)
        connect(m, engine.out, flipped(self.out))
        connect(m, engine.status, flipped(self.status))
        m.d.comb += [
            keystream.clear.eq(clear),
            ghash.clear.eq(clear),
            # nothing is taken while the state is held in reset
            feeder.request.payload.eq(self.counters.payload),
            feeder.request.valid.eq(self.counters.valid & ~clear),
            self.counters.ready.eq(feeder.request.ready & ~clear),
            engine.message.payload.eq(self.message.payload),
            engine.message.valid.eq(self.message.valid & ~clear),
            self.message.ready.eq(engine.message.ready & ~clear),
            engine.data.payload.eq(self.data.payload),
            engine.data.valid.eq(self.data.valid & ~clear),
            self.data.ready.eq(engine.data.ready & ~clear),
            self.idle.eq(engine.idle & ~clear),
            # key stream
            aes.round_keys.eq(self.round_keys),
            aes.i_valid.eq(feeder.o.valid),
            aes.i.eq(feeder.o.payload),
            feeder.o.ready.eq(aes.i_ready),
            keystream.i_valid.eq(aes.o_valid),
            keystream.i.eq(aes.o),
            feeder.taken.eq(keystream.o.valid & keystream.o.ready),
            # hash
            ghash.h_powers.eq(self.h_powers),
            ghash.i_valid.eq(engine.hash_valid),
            ghash.i.eq(engine.hash_block),
            ghash.i_first.eq(engine.hash_first),
            ghash.i_left.eq(engine.hash_left),
            engine.digest_valid.eq(ghash.o_valid),
            engine.digest.eq(ghash.o),
        ]
        return m
