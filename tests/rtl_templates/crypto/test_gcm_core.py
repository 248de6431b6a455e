"""``GcmCore`` on published vectors: NIST CAVP and Project Wycheproof (sources in the vector files)."""

import random

import pytest
from Crypto.Cipher import AES

from hwgen.config.accelerator import aes_cycles
from hwgen_sim.component import Phase, build_component, run_component
from rtl_templates.crypto.gcm_core import GcmCore
from tests.rtl_templates.crypto.crypto_model import key_bus, load_vectors
from tests.rtl_templates.crypto.gcm_messages import CoreMessage
from tests.rtl_templates.shell.sim_helpers import get, put, simulate

FILES = ("cavp_gcm.json", "wycheproof_gcm.json")


def all_vectors(bits: int) -> list[dict]:
    return [v for name in FILES for v in load_vectors(name, bits)]


def key_ports(key: bytes) -> dict[str, int]:
    bus = key_bus(key)
    return {name: bus[name] for name in ("round_keys", "h_powers")}


@pytest.mark.parametrize(("bits", "cycles"), [(128, 1), (128, 2), (128, 3), (256, 1), (256, 5)])
def test_some_published_vectors(bits, cycles):
    """A few of every kind in Amaranth's simulator; each has its own key, which needs a flush."""
    rng = random.Random(bits)
    vectors = all_vectors(bits)
    chosen = [rng.choice([v for v in vectors if v["valid"] == ok and bool(v["aad"]) == aad and bool(v["ct"]) == text])
              for ok, aad, text in ((1, 0, 0), (1, 1, 0), (1, 0, 1), (1, 1, 1), (0, 0, 1))]
    messages = [CoreMessage(v, label=i, head=bool(i % 2)) for i, v in enumerate(chosen)]
    dut = GcmCore(key_bits=bits, aes_cycles=cycles)

    async def testbench(ctx):
        for message in messages:
            ctx.set(dut.flush, 1)
            for name, value in key_ports(message.vector["key"]).items():
                ctx.set(getattr(dut, name), value)
            await ctx.tick()
            ctx.set(dut.flush, 0)
            await ctx.tick().until(~dut.flushing)
            # the requests wait in front of the unit; nothing else has to be sent in parallel
            ctx.set(dut.counters.payload.as_value(), message.counters)
            ctx.set(dut.counters.valid, 1)
            ctx.set(dut.message.payload.as_value(), message.message)
            ctx.set(dut.message.valid, 1)
            out: list[int] = []
            status: list[int] = []
            data, offered = iter(message.data), False
            ctx.set(dut.out.ready, 1)
            ctx.set(dut.status.ready, 1)
            while not status:
                if not offered:
                    beat = next(data, None)
                    ctx.set(dut.data.valid, beat is not None)
                    ctx.set(dut.data.payload.as_value(), beat or 0)
                    offered = beat is not None
                sampled = await ctx.tick().sample(
                    dut.data.ready, dut.counters.ready, dut.message.ready, dut.out.valid, dut.out.payload.as_value(),
                    dut.status.valid, dut.status.payload.as_value())
                _, _, data_ready, counters_ready, message_ready, out_valid, out_beat, status_valid, result = sampled
                offered = offered and not data_ready
                if counters_ready:
                    ctx.set(dut.counters.valid, 0)
                if message_ready:
                    ctx.set(dut.message.valid, 0)
                if out_valid:
                    out.append(out_beat)
                if status_valid:
                    status.append(result)
            message.check(out, status[0])

    simulate(dut, testbench)


@pytest.mark.parametrize("cycles", [1, 4])
def test_messages_back_to_back(cycles):
    """Under one key, one after the other without a flush, with gaps everywhere."""
    rng = random.Random(3)
    key = rng.randbytes(16)
    messages = [CoreMessage(random_vector(rng, key, corrupt=i % 5 == 3), label=i, head=rng.random() < 0.5)
                for i in range(12)]
    dut = GcmCore(aes_cycles=cycles)
    out: list[int] = []
    status: list[int] = []

    async def counters(ctx):
        ctx.set(dut.round_keys, key_ports(key)["round_keys"])
        ctx.set(dut.h_powers, key_ports(key)["h_powers"])
        await put(ctx, Raw(dut.counters), [m.counters for m in messages], rng)

    async def requests(ctx):
        await put(ctx, Raw(dut.message), [m.message for m in messages], rng)

    async def data(ctx):
        await put(ctx, Raw(dut.data), [b for m in messages for b in m.data], rng)

    async def plain(ctx):
        out.extend(await get(ctx, dut.out, sum(m.beats for m in messages), rng))

    async def results(ctx):
        status.extend(await get(ctx, dut.status, len(messages), rng, 0.8))

    simulate(dut, counters, requests, data, plain, results)
    for message, result in zip(messages, status, strict=True):
        message.check(out[:message.beats], result)
        del out[:message.beats]


class Raw:
    """A stream whose payload is set as bits."""

    def __init__(self, port):
        self.payload, self.valid, self.ready = port.payload.as_value(), port.valid, port.ready


def random_vector(rng: random.Random, key: bytes, *, corrupt: bool = False) -> dict:
    vector = {"key": key, "iv": rng.randbytes(12), "aad": rng.randbytes(rng.choice([0, 1, 16, 33, 80])),
              "msg": rng.randbytes(rng.choice([0, 1, 16, 17, 64, 150])), "valid": not corrupt}
    cipher = AES.new(key, AES.MODE_GCM, nonce=vector["iv"])
    cipher.update(vector["aad"])
    vector["ct"], vector["tag"] = cipher.encrypt_and_digest(vector["msg"])
    if corrupt:
        bit = rng.randrange(128)
        vector["tag"] = (int.from_bytes(vector["tag"], "big") ^ 1 << bit).to_bytes(16, "big")
    return vector


@pytest.mark.slow
@pytest.mark.parametrize(("bits", "cycles"), [(bits, cycles) for bits in (128, 256) for cycles in aes_cycles(bits)])
def test_all_published_vectors(bits, cycles, tmp_path):
    """Every vector in Verilator, from a random initial state, with gaps on all streams."""
    messages = [CoreMessage(v, label=i, head=bool(i % 2)) for i, v in enumerate(all_vectors(bits))]
    phases = []
    for message in messages:
        phases.append(Phase(ports={**key_ports(message.vector["key"]), "flush": 1}, wait=2))
        phases.append(Phase(
            ports={"flush": 0}, gaps={"data": 0.2, "out": 0.2, "message": 0.2},
            send={"counters": [message.counters], "message": [message.message], "data": message.data},
            receive={"out": message.beats, "status": 1}, limit=1000))
    results = run_component(build_component(GcmCore(key_bits=bits, aes_cycles=cycles)), tmp_path, phases)
    for message, result in zip(messages, results[1::2], strict=True):
        message.check(result.received["out"], result.received["status"][0])
    assert len(messages) > 110
