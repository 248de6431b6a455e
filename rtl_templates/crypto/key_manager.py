"""The one place that holds keys: master key in, per-image key material out, nothing readable over a bus."""

from amaranth.hdl import Cat, Module, ResetInserter, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl_templates.crypto.interfaces import KeyBus, KeyWord
from rtl_templates.crypto.key_derivation import SPILL_LABEL, KeyDerivation
from rtl_templates.crypto.timing import rounds_of

#: number of the first word of the boot salt among the words of the key
BOOT_SALT = 12
BOOT_SALT_WORDS = 4


class KeyManager(wiring.Component):
    """Holds the master key, derives the per-image key and everything the segment units need of it.

    With ``spill`` there is a second key, for feature maps in the scratch buffer, derived from the master key and a boot
    salt. The words of that salt belong to the key: it is committed, locked, dropped and zeroised with it.

    Args:
        key_bits: 128 or 256, master and per-image key alike.
        spill: with a key for feature maps.

    Members:
        key_write: one word of the master key per transfer, always ready; ignored (not stored) while ``locked``.
            The first word written after a commit or zeroise drops the old key and everything derived from it.
        key_commit: strobe; the words written are the master key from now on. Ignored while ``locked`` or while a word
            of the key has not been written.
        lock: strobe; no key can be written until reset. Zeroise still works.
        zeroise: strobe or level; clears the master key and everything derived from it in one cycle.
        start: strobe; derives the key of the image named by ``salt``, ``image_id`` and ``version`` within ``latency``
            cycles. If neither these nor the master key changed since the last derivation, nothing happens: ``keys``
            stay valid. Ignored while ``busy``.
        salt: 16 bytes of the image header.
        image_id: 8 bytes of the image header.
        version: of the image header, authenticated with each segment.
        keys: key material for the segment units; ``keys.valid`` is the "ready" of this component.
        spill_keys: the same of the units of feature maps, valid from ``latency`` + 1 cycles after the commit on. In the
            place of the image id is the number of the frame: it is one higher from the cycle after ``start`` on, and
            falls back only with the hardware's reset, so that no nonce is used twice, whatever is written or zeroised.
        busy: a derivation is running, from the cycle after ``start``.
        key_loaded: a master key has been committed.
        locked: the lock is set.
        no_key: strobe; ``start`` came without a committed key, nothing was started.

    Raises:
        ValueError: for another key size.
    """

    def __init__(self, *, key_bits: int = 128, spill: bool = False) -> None:
        rounds_of(key_bits)
        self.key_bits, self.spill = key_bits, spill
        self.derivation = KeyDerivation(key_bits=key_bits)
        word = data.StructLayout({"index": 4, "data": 32}) if spill else KeyWord
        super().__init__({
            "key_write": In(stream.Signature(word)),
            **({"spill_keys": Out(KeyBus(key_bits))} if spill else {}),
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

    @property
    def latency(self) -> int:
        """Cycles from ``start`` to ``keys.valid`` when a key has to be derived."""
        return self.derivation.latency + 1

    def elaborate(self, platform: object) -> Module:
        m = Module()
        wipe = Signal()
        m.submodules.derivation = derivation = ResetInserter(wipe)(self.derivation)
        words = self.key_bits // 32
        master = Signal(self.key_bits)
        written = Signal(words)
        salt = Signal(128)
        identity = Signal(64 + 32)
        begin = Signal()
        unchanged = Signal()
        write = Signal()
        known = self.key_write.p.index < words
        if self.spill:
            known |= self.key_write.p.index >= BOOT_SALT

        m.d.comb += [
            self.key_write.ready.eq(1),
            write.eq(self.key_write.valid & ~self.locked & known),
            wipe.eq(self.zeroise | (write & self.key_loaded)),
            unchanged.eq((self.salt == salt) & (Cat(self.image_id, self.version) == identity)),
            derivation.start.eq(begin),
            derivation.master.eq(master),
            derivation.salt.eq(salt),
            # first block of associated data: image id, version, 4 zero bytes
            derivation.aad.eq(identity),
            self.busy.eq(begin | derivation.busy),
            self.keys.valid.eq(derivation.valid & ~begin),
            self.keys.round_keys.eq(derivation.round_keys),
            self.keys.h_powers.eq(derivation.h_powers),
            self.keys.aad_base.eq(derivation.aad_base),
            self.keys.image_id.eq(identity[:64]),
        ]
        m.d.sync += [begin.eq(0), self.no_key.eq(self.start & ~self.key_loaded)]
        with m.If(self.start & self.key_loaded & ~self.busy & ~(derivation.valid & unchanged)):
            m.d.sync += [salt.eq(self.salt), identity.eq(Cat(self.image_id, self.version)), begin.eq(1)]
        complete = written.all()
        if self.spill:
            complete &= self._spill(m, master, write, wipe)
        with m.If(self.key_commit & ~self.locked & complete):
            m.d.sync += self.key_loaded.eq(1)
        with m.If(self.lock):
            m.d.sync += self.locked.eq(1)
        with m.If(wipe):
            m.d.sync += [
                master.eq(0), written.eq(0), salt.eq(0), identity.eq(0), begin.eq(0), self.key_loaded.eq(0),
            ]
        with m.If(write & ~self.zeroise):
            for i in range(words):
                with m.If(self.key_write.p.index == i):
                    m.d.sync += [master[32 * i:32 * i + 32].eq(self.key_write.p.data), written[i].eq(1)]
        return m

    def _spill(self, m: Module, master: Signal, write: Signal, wipe: Signal) -> Signal:
        """The key of feature maps; whether all words of the boot salt have been written."""
        m.submodules.spill = derivation = ResetInserter(wipe)(KeyDerivation(key_bits=self.key_bits, label=SPILL_LABEL))
        boot_salt = Signal(128)
        salt_written = Signal(BOOT_SALT_WORDS)
        complete = Signal()
        frame = Signal(64)
        m.d.comb += [
            complete.eq(salt_written.all()),
            derivation.start.eq(self.key_loaded & ~derivation.busy & ~derivation.valid),
            derivation.master.eq(master),
            derivation.salt.eq(boot_salt),
            self.spill_keys.valid.eq(derivation.valid),
            self.spill_keys.round_keys.eq(derivation.round_keys),
            self.spill_keys.h_powers.eq(derivation.h_powers),
            # the first block of associated data is zero, and so is its product
            self.spill_keys.image_id.eq(frame),
        ]
        with m.If(self.start):
            m.d.sync += frame.eq(frame + 1)
        with m.If(wipe):
            m.d.sync += [boot_salt.eq(0), salt_written.eq(0)]
        with m.If(write & ~self.zeroise):
            for i in range(BOOT_SALT_WORDS):
                with m.If(self.key_write.p.index == BOOT_SALT + i):
                    m.d.sync += [boot_salt[32 * i:32 * i + 32].eq(self.key_write.p.data), salt_written[i].eq(1)]
        return complete
