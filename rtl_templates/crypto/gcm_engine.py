"""The data side of AES-GCM: plaintext out, blocks to the hash, tag check; or ciphertext and tag out."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from rtl_templates.crypto.ghash import LANES
from rtl_templates.crypto.interfaces import DataBeat, PlainBeat, SegmentStatus
from rtl_templates.crypto.skid_buffer import SkidBuffer


class GcmMessage(data.Struct):
    """One message on its way through the data side."""

    head: unsigned(128)  #: first block to hash
    has_head: unsigned(1)  #: whether there is a ``head``
    beats: unsigned(16)  #: beats before the tag beat
    long: unsigned(1)  #: these are three or more; known beforehand, as the path from here to the hash is a long one
    clear: unsigned(16)  #: how many of them, from the first, are associated data: hashed, passed on, not decrypted
    aad_bits: unsigned(64)  #: length of the associated data for the length block
    text_bits: unsigned(64)  #: length of the ciphertext for the length block
    label: unsigned(32)  #: returned with the status


class _State(enum.Enum, shape=2):
    HEAD = 0
    BEATS = 1
    TAG = 2


def _length_field(bits: Value) -> Value:
    """A 64-bit length as the length block has it: big-endian."""
    return Cat(bits[8 * i:8 * i + 8] for i in reversed(range(8)))


class GcmEngine(wiring.Component):
    """Takes one beat per cycle, and one cycle more per message, in which the head block is hashed; tag beats are at
    least five cycles apart, which delays messages of less than three beats.

    ``data`` to ``out``: one cycle. Tag beat to ``status``: five cycles.

    Args:
        encrypt: ``data`` is plaintext without a tag beat; ciphertext and tag leave. No beat is taken for five cycles
            behind a message's last one and the tag.

    Members:
        message: one per message, taken with its tag beat.
        data: ``beats`` beats and a tag beat per message.
        keystream: one block per beat that is decrypted, then one that masks the tag.
        hash_valid, hash_block, hash_first, hash_left: to ``Ghash.i*``.
        digest_valid, digest: from ``Ghash.o*``.
        out: every beat but the tag's, plaintext; ``encrypt``: every beat, ``last`` on the tag.
        status: one per message; ``index`` is the message's ``label``. ``encrypt``: its tag is on its way.
        idle: nothing is under way.
    """

    def __init__(self, *, encrypt: bool = False) -> None:
        self.encrypt = encrypt
        super().__init__({
            "message": In(stream.Signature(GcmMessage)),
            "data": In(stream.Signature(DataBeat)),
            "keystream": In(stream.Signature(128)),
            "hash_valid": Out(1),
            "hash_block": Out(128),
            "hash_first": Out(1, init=1),
            "hash_left": Out(range(LANES + 1)),
            "digest_valid": In(1),
            "digest": In(128),
            "out": Out(stream.Signature(PlainBeat)),
            "status": Out(stream.Signature(SegmentStatus)),
            "idle": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.plain = plain = SkidBuffer(shape=PlainBeat)
        m.submodules.result = result = SkidBuffer(shape=SegmentStatus)
        connect(m, plain.o, flipped(self.out))
        connect(m, result.o, flipped(self.status))

        message = self.message.p
        state = Signal(_State)
        beats = Signal(16)  # to come, the present one included
        clear = Signal(16)  # those of them that are not decrypted
        is_clear = Signal()  # there are such; a register, as every beat's path starts here
        able = Signal()  # everything but the data is there
        take = Signal()
        expected = Signal(128)
        label = Signal(32)
        checking = Signal()  # a tag is being checked

        m.d.comb += [
            take.eq(able & self.data.valid),
            self.data.ready.eq(able),
            plain.i.p.data.eq(self.data.p.data ^ (self.keystream.payload & ~is_clear.replicate(128))),
            plain.i.p.last.eq(beats == 1),
        ]
        hashed, masked, last = self.data.p.data, self.data.p.data ^ self.keystream.payload, take
        if self.encrypt:
            hashed, masked, last = plain.i.p.data, self.keystream.payload, able
        with m.Switch(state):
            with m.Case(_State.HEAD):
                m.d.comb += [
                    self.hash_valid.eq(self.message.valid & message.has_head),
                    self.hash_block.eq(message.head),
                    # the beats and the length block follow
                    self.hash_left.eq(Mux(message.long, LANES, message.beats[:2] + 1)),
                ]
                m.d.sync += [beats.eq(message.beats), clear.eq(message.clear), is_clear.eq(message.clear.any())]
                with m.If(self.message.valid):
                    m.d.sync += state.eq(Mux(message.beats == 0, _State.TAG, _State.BEATS))
            with m.Case(_State.BEATS):
                m.d.comb += [
                    able.eq(plain.i.ready & (is_clear | self.keystream.valid)),
                    plain.i.valid.eq(take),
                    self.keystream.ready.eq(take & ~is_clear),
                    self.hash_valid.eq(take),
                    self.hash_block.eq(hashed),
                    self.hash_left.eq(Mux(beats[2:].any(), LANES, beats[:2])),
                ]
                if self.encrypt:
                    m.d.comb += able.eq(plain.i.ready & (is_clear | self.keystream.valid) & ~checking)
                with m.If(take):
                    m.d.sync += beats.eq(beats - 1)
                    with m.If(is_clear):
                        m.d.sync += [clear.eq(clear - 1), is_clear.eq(clear[1:].any())]
                    with m.If(beats == 1):
                        m.d.sync += state.eq(_State.TAG)
            with m.Case(_State.TAG):
                m.d.comb += [
                    able.eq(self.keystream.valid & result.i.ready & ~checking),
                    self.keystream.ready.eq(last),
                    self.hash_valid.eq(last),
                    self.hash_block.eq(Cat(_length_field(message.aad_bits), _length_field(message.text_bits))),
                    self.hash_left.eq(0),
                    self.message.ready.eq(last),
                ]
                if self.encrypt:  # nothing is sent until the tag is, so that ``plain`` keeps its room
                    m.d.comb += [able.eq(self.keystream.valid & result.i.ready & plain.i.ready & ~checking),
                                 self.data.ready.eq(0)]
                with m.If(last):
                    m.d.sync += [
                        state.eq(_State.HEAD),
                        expected.eq(masked),
                        label.eq(message.label),
                        checking.eq(1),
                    ]
        with m.If(self.hash_valid):
            m.d.sync += self.hash_first.eq(state == _State.TAG)

        # ``result`` has room: nothing else was sent to it since ``able``
        with m.If(self.digest_valid):
            m.d.sync += checking.eq(0)
        if self.encrypt:
            m.d.comb += plain.i.p.last.eq(self.digest_valid)
            with m.If(self.digest_valid):
                m.d.comb += [plain.i.valid.eq(1), plain.i.p.data.eq(self.digest ^ expected)]
        m.d.comb += [
            result.i.valid.eq(self.digest_valid),
            result.i.p.ok.eq(self.digest == expected),
            result.i.p.index.eq(label),
            self.idle.eq((state == _State.HEAD) & ~self.message.valid & ~checking & ~plain.o.valid & ~result.o.valid),
        ]
        return m
