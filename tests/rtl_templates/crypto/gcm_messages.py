"""Puts published AES-GCM vectors into the form that ``GcmCore`` takes."""

from dataclasses import dataclass

from rtl_templates.crypto.counter_feeder import CounterRequest
from rtl_templates.crypto.gcm_engine import GcmMessage
from rtl_templates.crypto.interfaces import DataBeat, PlainBeat, SegmentStatus
from tests.rtl_templates.crypto.crypto_model import beats, number, padded


@dataclass(frozen=True)
class CoreMessage:
    """One decryption: what goes into the streams, and what should come out.

    Args:
        vector: with fields iv, aad, ct, tag, msg (bytes) and valid.
        head: put the first block of associated data into the message instead of its beats.
    """

    vector: dict
    label: int = 0
    head: bool = False

    @property
    def _aad(self) -> bytes:
        return padded(self.vector["aad"])

    @property
    def _has_head(self) -> bool:
        return self.head and bool(self._aad)

    @property
    def _clear(self) -> int:
        return len(self._aad) // 16 - self._has_head

    @property
    def _sealed(self) -> int:
        return len(padded(self.vector["ct"])) // 16

    @property
    def counters(self) -> int:
        return CounterRequest.const({"iv": number(self.vector["iv"]), "blocks": self._sealed}).as_bits()

    @property
    def message(self) -> int:
        return GcmMessage.const({
            "head": number(self._aad[:16]) if self._has_head else 0,
            "has_head": self._has_head,
            "beats": self._clear + self._sealed,
            "long": self._clear + self._sealed >= 3,
            "clear": self._clear,
            "aad_bits": 8 * len(self.vector["aad"]),
            "text_bits": 8 * len(self.vector["ct"]),
            "label": self.label,
        }).as_bits()

    @property
    def data(self) -> list[int]:
        aad = self._aad[16:] if self._has_head else self._aad
        return [DataBeat.const({"data": b}).as_bits()
                for b in beats(aad + padded(self.vector["ct"]) + self.vector["tag"])]

    @property
    def beats(self) -> int:
        """Beats on ``out``."""
        return self._clear + self._sealed

    def check(self, out: list[int], status: int) -> None:
        """Assert that these are the message's results."""
        plain = [PlainBeat.from_bits(p) for p in out]
        result = SegmentStatus.from_bits(status)
        assert result.index == self.label
        assert bool(result.ok) == self.vector["valid"]
        assert [p.last for p in plain] == [0] * (len(plain) - 1) + [1] * bool(plain)
        text = b"".join(p.data.to_bytes(16, "little") for p in plain[self._clear:])
        if self.vector["valid"]:
            assert text[:len(self.vector["msg"])] == self.vector["msg"]
