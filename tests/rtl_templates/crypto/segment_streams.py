"""Drives a segment unit (``GcmStream`` or ``SegmentBypass``) with sealed segments in Amaranth's simulator."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from amaranth.lib import wiring

from hwgen.seal import Key, Segment, seal_segment
from rtl_templates.crypto.interfaces import PlainBeat, SegmentHeader, SegmentStatus
from tests.rtl_templates.crypto.crypto_model import beats, key_bus
from tests.rtl_templates.shell.sim_helpers import get, put, simulate


@dataclass(frozen=True)
class Sealed:
    """A segment as it lies in memory, and the header that is announced for it."""

    segment: Segment
    header: dict[str, int]
    body: bytes
    ok: bool = True

    @property
    def header_bits(self) -> int:
        return SegmentHeader.const(self.header).as_bits()


def seal(key: Key, image_id: bytes, version: int, segments: Sequence[Segment]) -> list[Sealed]:
    """What the image writer would store."""
    return [Sealed(s, {"index": s.index, "dest": s.dest, "length": s.beats, "flags": s.flags},
                   seal_segment(key, image_id, version, s)) for s in segments]


def random_segments(rng: random.Random, lengths: Sequence[int]) -> list[Segment]:
    """Segments of these lengths in beats, encrypted or plain."""
    return [Segment(index=rng.getrandbits(32), dest=rng.getrandbits(32), flags=rng.getrandbits(8),
                    payload=rng.randbytes(16 * n)) for n in lengths]


@dataclass
class Result:
    """What came out of the unit."""

    out: list[int] = field(default_factory=list)
    status: list[int] = field(default_factory=list)

    def check(self, sealed: Sequence[Sealed]) -> None:
        """Assert that every segment came out whole and with the right verdict."""
        position = 0
        for item, status in zip(sealed, self.status, strict=True):
            result = SegmentStatus.from_bits(status)
            assert result.index == item.header["index"]
            assert bool(result.ok) == item.ok
            plain = [PlainBeat.from_bits(p) for p in self.out[position:position + item.header["length"]]]
            position += len(plain)
            assert [p.last for p in plain] == [0] * (len(plain) - 1) + [1]
            if item.ok:
                assert b"".join(p.data.to_bytes(16, "little") for p in plain) == item.segment.payload
        assert position == len(self.out)


def set_keys(ctx, dut: wiring.Component, key: Key, image_id: bytes, version: int) -> None:
    """Put an image key on the unit's key bus."""
    for name, value in key_bus(key.reveal(), image_id, version).items():
        ctx.set(getattr(dut.keys, name), value)
    ctx.set(dut.keys.valid, 1)


def stream(dut: wiring.Component, sealed: Sequence[Sealed], setup, rng: random.Random, gap: float) -> Result:
    """Sends all segments through the unit; ``setup(ctx)`` runs first."""
    result = Result()

    async def headers(ctx):
        setup(ctx)
        await put(ctx, dut.header, [s.header for s in sealed], rng, gap)

    async def data(ctx):
        await put(ctx, dut.data, [{"data": b} for s in sealed for b in beats(s.body)], rng, gap)

    async def out(ctx):
        result.out += await get(ctx, dut.out, sum(s.header["length"] for s in sealed), rng, gap)

    async def status(ctx):
        result.status += await get(ctx, dut.status, len(sealed), rng, gap)

    simulate(dut, headers, data, out, status)
    return result


async def send_one(ctx, dut: wiring.Component, item: Sealed, count: int | None = None) -> Result:
    """Sends one segment to an idle unit and waits for its verdict; or only its first ``count`` beats."""
    result = Result()
    ctx.set(dut.header.payload, item.header)
    ctx.set(dut.header.valid, 1)
    await ctx.tick().until(dut.header.ready)
    ctx.set(dut.header.valid, 0)
    ctx.set(dut.out.ready, 1)
    ctx.set(dut.status.ready, 1)
    waiting = beats(item.body)[:count]
    while waiting or (count is None and not result.status):
        ctx.set(dut.data.valid, bool(waiting))
        ctx.set(dut.data.payload, {"data": waiting[0] if waiting else 0})
        _, _, taken, out_valid, out, status_valid, status = await ctx.tick().sample(
            dut.data.ready, dut.out.valid, dut.out.payload.as_value(), dut.status.valid,
            dut.status.payload.as_value())
        if waiting and taken:
            del waiting[0]
        if out_valid:
            result.out.append(out)
        if status_valid:
            result.status.append(status)
    ctx.set(dut.data.valid, 0)
    return result
