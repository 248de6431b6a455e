"""``GcmStream`` against pycryptodome: random segments and gaps, changed bits, zeroisation, rate."""

import dataclasses
import itertools
import random

import pytest

from hwgen.config.accelerator import aes_cycles
from hwgen.seal import FLAG_ENCRYPTED, TAG_BYTES, Key, Segment
from hwgen_sim.component import Phase, build_component, run_component
from rtl_templates.crypto.gcm_stream import GcmStream
from rtl_templates.crypto.interfaces import DataBeat
from rtl_templates.crypto.timing import cipher_slots, keystream_depth
from tests.rtl_templates.crypto.crypto_model import beats, key_bus
from tests.rtl_templates.crypto.segment_streams import Result, Sealed, random_segments, seal, send_one, set_keys, stream
from tests.rtl_templates.crypto.waveform import final_values
from tests.rtl_templates.shell.sim_helpers import put, simulate

ID, VERSION = b"image id", 7


def flipped(body: bytes, bit: int) -> bytes:
    return body[:bit // 8] + bytes([body[bit // 8] ^ 1 << bit % 8]) + body[bit // 8 + 1:]


def attacked(rng: random.Random, sealed: list[Sealed]) -> list[Sealed]:
    """Every second segment with one bit changed: of its payload, its tag, or a field of its header."""
    changed = []
    for i, item in enumerate(sealed):
        kind = ("payload", "tag", "index", "dest", "flags", None)[i // 2 % 6]
        if i % 2 == 0 or kind is None:
            changed.append(item)
        elif kind == "payload":
            bit = rng.randrange(8 * len(item.segment.payload))
            changed.append(dataclasses.replace(item, body=flipped(item.body, bit), ok=False))
        elif kind == "tag":
            bit = 8 * len(item.segment.payload) + rng.randrange(8 * TAG_BYTES)
            changed.append(dataclasses.replace(item, body=flipped(item.body, bit), ok=False))
        else:
            bit = rng.randrange({"index": 32, "dest": 32, "flags": 8}[kind])
            header = item.header | {kind: item.header[kind] ^ 1 << bit}
            changed.append(dataclasses.replace(item, header=header, ok=False))
    return changed


@pytest.mark.parametrize(
    ("bits", "cycles", "gap"), [(128, 1, 0.3), (256, 1, 0.0), (128, 2, 0.0), (128, 10, 0.3), (256, 2, 0.3)])
def test_segments(bits, cycles, gap):
    rng = random.Random(bits)
    key = Key(rng.randbytes(bits // 8))
    sealed = attacked(rng, seal(key, ID, VERSION, random_segments(rng, [1, 1, 2, 3, 4, 5, 20, 1, 37, 6, 2, 1])))
    dut = GcmStream(key_bits=bits, aes_cycles=cycles)
    result = stream(dut, sealed, lambda ctx: set_keys(ctx, dut, key, ID, VERSION), rng, gap)
    result.check(sealed)
    assert {s.ok for s in sealed} == {True, False}


def test_wrong_context():
    """Refused: a segment of another image or version, under another key, of another length, plain for encrypted."""
    rng = random.Random(1)
    key = Key(rng.randbytes(16))
    right = {"key": key, "image_id": ID, "version": VERSION}
    sealed = [seal(key, ID, VERSION, [dataclasses.replace(s, flags=flags)])[0]
              for s, flags in zip(random_segments(rng, [3, 4]), (0, FLAG_ENCRYPTED), strict=True)]
    cases: list[tuple[dict, Sealed]] = []
    for item in sealed:
        refused = dataclasses.replace(item, ok=False)
        header, length = item.header, item.header["length"]
        cases += [
            (right, item),
            (right | {"key": Key(bytes(16))}, refused),
            (right | {"image_id": b"other id"}, refused),
            (right | {"version": VERSION + 1}, refused),
            (right, dataclasses.replace(refused, header=header | {"flags": header["flags"] ^ FLAG_ENCRYPTED})),
            # the last payload beat is taken for the tag
            (right, dataclasses.replace(refused, header=header | {"length": length - 1}, body=item.body[:-16])),
            (right, item),
        ]
    dut = GcmStream()

    async def testbench(ctx):
        for context, item in cases:
            set_keys(ctx, dut, **context)
            (await send_one(ctx, dut, item)).check([item])
            assert ctx.get(dut.idle)

    simulate(dut, testbench)


def begin(key: Key, segment: Segment):
    """A testbench that leaves the unit in the middle of a segment, drops the keys and waits for the flush to end."""
    def make(dut):
        async def testbench(ctx):
            sealed = seal(key, ID, VERSION, [segment])[0]
            set_keys(ctx, dut, key, ID, VERSION)
            ctx.set(dut.header.payload, sealed.header)
            ctx.set(dut.header.valid, 1)
            await ctx.tick().until(dut.header.ready)
            await ctx.tick().until(dut.header.ready)  # the same once more, waiting
            ctx.set(dut.header.valid, 0)
            ctx.set(dut.header.payload, {})
            ctx.set(dut.data.valid, 1)
            for beat in beats(sealed.body)[:6]:
                ctx.set(dut.data.payload, {"data": beat})
                ctx.set(dut.out.ready, 1)
                await ctx.tick().until(dut.data.ready)
            ctx.set(dut.data.valid, 0)
            ctx.set(dut.data.payload, {})
            await ctx.tick().repeat(5)
            assert not ctx.get(dut.idle)
            for name in ("valid", *key_bus(bytes(16))):
                ctx.set(getattr(dut.keys, name), 0)
            await ctx.tick().repeat(2)
            assert not ctx.get(dut.out.valid) and not ctx.get(dut.header.ready) and not ctx.get(dut.data.ready)
            await ctx.tick().repeat(34)
        return testbench
    return make


@pytest.mark.parametrize("cycles", [1, 2, 3])
def test_nothing_survives_without_keys(cycles, tmp_path):
    """Two runs with different keys and data end in the same state, in every signal: nothing of either is left."""
    rng = random.Random(4)
    left = []
    for run in range(2):
        dut = GcmStream(aes_cycles=cycles)
        segment = Segment(index=5, dest=6, flags=1, payload=rng.randbytes(160))
        testbench = begin(Key(rng.randbytes(16)), segment)(dut)
        left.append(final_values(dut, testbench, tmp_path / f"{run}.vcd"))
    assert len(left[0]) > 300
    assert left[0] == left[1]


@pytest.mark.parametrize("cycles", [1, 5])
def test_flush_and_go_on(cycles):
    """After a flush in the middle of a segment, the next segments are whole."""
    rng = random.Random(5)
    key = Key(rng.randbytes(16))
    sealed = seal(key, ID, VERSION, random_segments(rng, [30, 2, 3]))
    dut = GcmStream(aes_cycles=cycles)

    async def testbench(ctx):
        set_keys(ctx, dut, key, ID, VERSION)
        await send_one(ctx, dut, sealed[0], count=10)
        assert not ctx.get(dut.idle)
        ctx.set(dut.flush, 1)
        await ctx.tick()
        ctx.set(dut.flush, 0)
        for item in sealed[1:]:
            (await send_one(ctx, dut, item)).check([item])
        assert ctx.get(dut.idle)

    simulate(dut, testbench)


@pytest.mark.slow
@pytest.mark.parametrize(("cycles", "gap"), [(1, 0.0), (1, 0.3), (2, 0.0), (2, 0.3), (5, 0.0)])
def test_many_segments(cycles, gap, tmp_path):
    """Hundreds of segments in Verilator, from a random initial state; with the whole cipher and without gaps, one cycle
    is lost per segment."""
    rng = random.Random(9)
    key = Key(rng.randbytes(16))
    lengths = [rng.choice([1, 2, 3, 4, 5, 8, 16, 64]) for _ in range(200)] + [1024, 1, 64, 64]
    sealed = attacked(rng, seal(key, ID, VERSION, random_segments(rng, lengths)))
    data = [DataBeat.const({"data": b}).as_bits() for s in sealed for b in beats(s.body)]
    keys = {f"keys__{name}": value for name, value in key_bus(key.reveal(), ID, VERSION).items()}
    phases = [
        Phase(ports={**keys, "keys__valid": 1, "flush": 0}, wait=40),
        Phase(send={"header": [s.header_bits for s in sealed], "data": data},
              receive={"out": sum(lengths), "status": len(sealed)},
              gaps=dict.fromkeys(("header", "data", "out", "status"), gap), probe=["idle"]),
    ]
    result = run_component(build_component(GcmStream(aes_cycles=cycles)), tmp_path, phases)[1]
    Result(result.received["out"], result.received["status"]).check(sealed)
    assert result.probed["idle"] == 1
    if not gap and cycles == 1:
        long = data_moments(result.moments["data"], sealed)[-4:]
        assert [last - first + 1 for first, last in long] == [1025, 4, 65, 65]  # tag beats are five cycles apart
        assert all(after[0] - before[1] == 2 for before, after in itertools.pairwise(long))


@pytest.mark.parametrize("cycles", [1, 2, 3])
def test_rate(cycles):
    """Cycles that segments back to back take, key stream being ready for the first beats."""
    check_rate(128, cycles, [30, 18], amaranth_moments)


@pytest.mark.slow
@pytest.mark.parametrize(("bits", "cycles"), [(bits, cycles) for bits in (128, 256) for cycles in aes_cycles(bits)])
def test_rate_of_long_segments(bits, cycles, tmp_path):
    """The same in Verilator, long enough that the stated rate is met within 2 %."""
    taken, blocks = check_rate(bits, cycles, [1024, 1, 600], lambda dut, sealed, wait: verilator_moments(
        dut, sealed, wait, tmp_path))
    assert cycles * (blocks - 64) <= taken <= 1.02 * cycles * blocks


def check_rate(bits: int, cycles: int, lengths: list[int], run) -> tuple[int, int]:
    """Of encrypted segments the cipher's cycles for every block, that for the tag included, less the key stream that
    waited; of plain ones one cycle per beat and one per segment. Cycles of the encrypted ones, and their blocks."""
    rng = random.Random(cycles)
    depth, slots = keystream_depth(bits, cycles), cipher_slots(bits, cycles)
    blocks, found = sum(n + 1 for n in lengths), []
    for flags in (0, FLAG_ENCRYPTED):
        dut = GcmStream(key_bits=bits, aes_cycles=cycles)
        segments = [dataclasses.replace(s, flags=flags) for s in random_segments(rng, lengths)]
        sealed = seal(Key(bytes(bits // 8)), ID, VERSION, segments)
        moments = run(dut, sealed, 2 * depth + cycles * (depth + slots))
        assert len(moments) == blocks
        found.append(moments[-1] - moments[0] + 1)
    plain, encrypted = found
    # one cycle per segment for its head, and tag beats are five cycles apart
    assert plain == blocks + len(lengths) - 1 + sum(max(0, 3 - n) for n in lengths[1:])
    if cycles == 1:
        assert encrypted == plain
    else:  # blocks leave the ring together, so that the end is known to within its slots
        assert abs(encrypted - depth - cycles * (blocks - depth)) <= cycles * slots
    return encrypted, blocks


def amaranth_moments(dut, sealed: list[Sealed], wait: int) -> list[int]:
    """Cycles in which the unit took a beat."""
    moments: list[int] = []

    async def headers(ctx):
        set_keys(ctx, dut, Key(bytes(dut.key_bits // 8)), ID, VERSION)
        await put(ctx, dut.header, [s.header for s in sealed], random.Random(0), 0.0)

    async def data(ctx):
        ctx.set(dut.out.ready, 1)
        ctx.set(dut.status.ready, 1)
        await ctx.tick().repeat(wait)
        waiting, cycle = [b for s in sealed for b in beats(s.body)], 0
        ctx.set(dut.data.valid, 1)
        while waiting:
            ctx.set(dut.data.payload, {"data": waiting[0]})
            _, _, ready = await ctx.tick().sample(dut.data.ready)
            if ready:
                moments.append(cycle)
                del waiting[0]
            cycle += 1

    simulate(dut, headers, data)
    return moments


def verilator_moments(dut, sealed: list[Sealed], wait: int, folder) -> list[int]:
    """The same as ``amaranth_moments``, in Verilator."""
    keys = {f"keys__{name}": value for name, value in key_bus(bytes(dut.key_bits // 8), ID, VERSION).items()}
    return run_component(build_component(dut), folder, [
        Phase(ports={**keys, "keys__valid": 1, "flush": 0}, wait=100),
        Phase(send={"header": [s.header_bits for s in sealed[:2]]}),
        Phase(wait=wait),
        Phase(send={"header": [s.header_bits for s in sealed[2:]],
                    "data": [DataBeat.const({"data": b}).as_bits() for s in sealed for b in beats(s.body)]},
              receive={"out": sum(s.header["length"] for s in sealed), "status": len(sealed)}),
    ])[-1].moments["data"]


def data_moments(moments: list[int], sealed: list[Sealed]) -> list[tuple[int, int]]:
    """Cycle of the first and last beat of each segment."""
    found, position = [], 0
    for item in sealed:
        count = len(item.body) // 16
        found.append((moments[position], moments[position + count - 1]))
        position += count
    return found
