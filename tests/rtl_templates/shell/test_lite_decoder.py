"""Register files behind the decoder: every access reaches its window and no other, in any order and with any gaps."""

import random

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from hwgen.driver import register_map as reg
from rtl_templates.shell.lite_decoder import LiteDecoder, decoded_members
from rtl_templates.shell.registers import RegisterFile
from tests.rtl_templates.shell.sim_helpers import simulate

#: registers that keep what is written
PLAIN = (reg.WATCHDOG, reg.INPUT_ADDR_LOW, reg.OUTPUT_ADDR_LOW, reg.SALT_0)
WINDOWS = 3


class Decoded(wiring.Component):
    """Register files behind a decoder."""

    def __init__(self):
        self.files = [RegisterFile() for _ in range(WINDOWS)]
        super().__init__({"bus": Out(wiring.Signature(decoded_members(WINDOWS)))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.decoder = decoder = LiteDecoder(windows=WINDOWS)
        m.submodules += self.files
        wiring.connect(m, wiring.flipped(self.bus), decoder.bus)
        for number, file in enumerate(self.files):
            wiring.connect(m, getattr(decoder, f"window_{number}"), file.bus)
        return m


async def gap(ctx, rng):
    while rng.random() < 0.4:
        await ctx.tick()


async def until(ctx, ready):
    """Tick until ``ready`` was high at a clock edge."""
    taken = 0
    while not taken:
        _, _, taken = await ctx.tick().sample(ready)


async def send(ctx, rng, valid, ready, **payload):
    await gap(ctx, rng)
    for signal, value in payload.values():
        ctx.set(signal, value)
    ctx.set(valid, 1)
    await until(ctx, ready)
    ctx.set(valid, 0)


async def receive(ctx, rng, valid, ready, *signals):
    await gap(ctx, rng)
    ctx.set(ready, 1)
    taken, values = 0, ()
    while not taken:
        _, _, taken, *values = await ctx.tick().sample(valid, *signals)
    ctx.set(ready, 0)
    return values


@pytest.mark.parametrize("seed", range(3))
def test_every_window_is_its_own(seed):
    dut, rng = Decoded(), random.Random(seed)
    bus = dut.bus
    accesses = [(rng.randrange(4), rng.choice(PLAIN), rng.getrandbits(32), rng.random() < 0.5) for _ in range(120)]
    accesses += [(window, register, 0, False) for window in range(4) for register in PLAIN]
    kept, wrong = {}, []
    state = {"word": None}

    async def driver(ctx):
        for window, register, value, write in accesses:
            address = window << 12 | register
            if write:
                state["word"] = (address, value)
                await send(ctx, rng, bus.awvalid, bus.awready, address=(bus.awaddr, address))
                response, = await receive(ctx, rng, bus.bvalid, bus.bready, bus.bresp)
                if window < WINDOWS:
                    kept[address] = value
            else:
                await send(ctx, rng, bus.arvalid, bus.arready, address=(bus.araddr, address))
                data, response = await receive(ctx, rng, bus.rvalid, bus.rready, bus.rdata, bus.rresp)
                if data != kept.get(address, 0):
                    wrong.append((window, register, data))
            assert response == 0
        state["word"] = "end"

    async def data(ctx):
        """The data of a write comes on its own channel, before or behind its address."""
        while state["word"] != "end":
            if state["word"] is None:
                await ctx.tick()
                continue
            _, value = state["word"]
            state["word"] = None
            await send(ctx, rng, bus.wvalid, bus.wready, data=(bus.wdata, value), strobe=(bus.wstrb, 0xF))

    simulate(dut, driver, data, limit=20_000)
    assert not wrong
    assert len({address >> 12 for address in kept}) == WINDOWS


def test_reads_pass_writes_that_wait():
    dut, rng = Decoded(), random.Random(9)
    bus = dut.bus

    async def testbench(ctx):
        ctx.set(bus.awvalid, 1)  # an address without data
        ctx.set(bus.awaddr, 1 << 12 | reg.WATCHDOG)
        await send(ctx, rng, bus.arvalid, bus.arready, address=(bus.araddr, 2 << 12 | reg.WATCHDOG))
        value, = await receive(ctx, rng, bus.rvalid, bus.rready, bus.rdata)
        assert value == 0

    simulate(dut, testbench, limit=1000)
