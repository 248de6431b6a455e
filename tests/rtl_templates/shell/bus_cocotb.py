"""cocotb side of test_bus_parts.py: cocotbext-axi is the independent opinion on AXI."""

import itertools
import logging
import os
import random
import warnings

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiRamRead, AxiRamWrite, AxiReadBus, AxiWriteBus

from rtl_templates.shell.register_model import register_map
from rtl_templates.shell.registers import inputs_layout, values_layout

warnings.simplefilter("ignore", DeprecationWarning)
SIZE = 1 << 20


def quiet(part) -> None:
    part.log.setLevel(logging.WARNING)


async def reset(dut) -> None:
    Clock(dut.clk, 2, unit="ns").start()
    for name in ("r_request__valid", "r_data__ready", "r_abort", "w_request__valid", "w_data__valid", "w_abort",
                 "w_ends", "inputs", "locked", "r_axi__rvalid", "r_axi__arready", "w_axi__awready", "w_axi__wready",
                 "w_axi__bvalid", "bus__arvalid", "bus__awvalid", "bus__wvalid", "bus__rready", "bus__bready"):
        getattr(dut, name).value = 0
    dut.rst.value = 1
    for _ in range(5):
        await RisingEdge(dut.clk)
    dut.rst.value = 0
    await RisingEdge(dut.clk)


class FaultyRead(AxiRamRead):
    """Answers SLVERR from ``SIZE`` on."""

    async def _read(self, address, length):
        if address >= SIZE:
            raise IndexError
        return await super()._read(address, length)


class FaultyWrite(AxiRamWrite):
    """Answers SLVERR from ``SIZE`` on."""

    async def _write(self, address, data):
        if address >= SIZE:
            raise IndexError
        await super()._write(address, data)


def pauses(seed: int, share: float):
    rng = random.Random(seed)
    return (rng.random() < share for _ in itertools.count())


async def send(dut, prefix: str, items, rng, gap: float) -> None:
    valid, ready, payload = (getattr(dut, f"{prefix}__{name}") for name in ("valid", "ready", "payload"))
    for item in items:
        while rng.random() < gap:
            await RisingEdge(dut.clk)
        payload.value = item
        valid.value = 1
        await RisingEdge(dut.clk)
        while not int(ready.value):
            await RisingEdge(dut.clk)
        valid.value = 0


async def receive(dut, prefix: str, count: int, rng, gap: float) -> list[int]:
    valid, ready, payload = (getattr(dut, f"{prefix}__{name}") for name in ("valid", "ready", "payload"))
    taken = []
    while len(taken) < count:
        ready.value = offered = int(rng.random() >= gap)
        await RisingEdge(dut.clk)
        if offered and int(valid.value):
            taken.append(int(payload.value))
    ready.value = 0
    return taken


def requests_for(rng, count: int) -> list[tuple[int, int]]:
    """(beat address, beats): around the 4 KiB borders, and anywhere."""
    edges = [(0, 1), (255, 2), (256, 256), (250, 513), (511, 1), (1, 1025)]
    return edges + [(rng.randrange(SIZE // 16 - 1025), rng.choice((1, 2, 129, rng.randrange(1, 600))))
                    for _ in range(count)]


@cocotb.test()
@cocotb.parametrize(share=[0.0, 0.4])
async def reads(dut, share):
    await reset(dut)
    rng = random.Random(1)
    memory = rng.randbytes(SIZE)
    ram = AxiRamRead(AxiReadBus.from_prefix(dut, "r_axi_"), dut.clk, dut.rst, size=SIZE)
    quiet(ram)
    ram.write(0, memory)
    if share:
        for channel, seed in ((ram.ar_channel, 1), (ram.r_channel, 2)):
            channel.set_pause_generator(pauses(seed, share))
    requests = requests_for(rng, 12)
    wanted = [int.from_bytes(memory[16 * k:16 * k + 16], "little")
              for address, beats in requests for k in range(address, address + beats)]
    cocotb.start_soon(send(dut, "r_request", [a | n << 36 for a, n in requests], rng, share))
    assert await receive(dut, "r_data", len(wanted), random.Random(2), share) == wanted
    for _ in range(5):
        await RisingEdge(dut.clk)
    assert int(dut.r_idle.value)


@cocotb.test()
async def read_errors_and_aborts(dut):
    await reset(dut)
    ram = FaultyRead(AxiReadBus.from_prefix(dut, "r_axi_"), dut.clk, dut.rst, size=2 * SIZE)
    ram.log.setLevel(logging.CRITICAL)  # the errors are wanted
    errors = []

    async def watch():
        while True:
            await RisingEdge(dut.clk)
            errors.append(int(dut.r_error.value))

    cocotb.start_soon(watch())
    await send(dut, "r_request", [(SIZE // 16) | 3 << 36], random.Random(1), 0.0)
    await receive(dut, "r_data", 3, random.Random(1), 0.0)
    for _ in range(3):
        await RisingEdge(dut.clk)
    assert sum(errors) == 3
    rng = random.Random(4)
    for attempt in range(10):
        cocotb.start_soon(send(dut, "r_request", [64 | 700 << 36, 9000 | 1025 << 36], rng, 0.0))
        taken = await receive(dut, "r_data", rng.randrange(1, 300), rng, 0.2)
        dut.r_abort.value = 1
        for _ in range(4):
            await RisingEdge(dut.clk)
        assert not int(dut.r_data__valid.value)
        while not int(dut.r_idle.value):
            await RisingEdge(dut.clk)
        dut.r_abort.value = 0
        await RisingEdge(dut.clk)
        ram.write(0x8000, bytes([attempt]) * 64)
        await send(dut, "r_request", [0x800 | 4 << 36], rng, 0.0)
        assert await receive(dut, "r_data", 4, rng, 0.0) == [int.from_bytes(bytes([attempt]) * 16, "little")] * 4, taken


@cocotb.test()
@cocotb.parametrize(share=[0.0, 0.4])
async def writes(dut, share):
    await reset(dut)
    rng = random.Random(5)
    ram = AxiRamWrite(AxiWriteBus.from_prefix(dut, "w_axi_"), dut.clk, dut.rst, size=SIZE)
    quiet(ram)
    if share:
        for channel, seed in ((ram.aw_channel, 1), (ram.w_channel, 2), (ram.b_channel, 3)):
            channel.set_pause_generator(pauses(seed, share))
    model = bytearray(SIZE)
    data, requests = [], requests_for(rng, 8)
    for address, beats in requests:
        part = [rng.getrandbits(128) for _ in range(beats)]
        model[16 * address:16 * (address + beats)] = b"".join(beat.to_bytes(16, "little") for beat in part)
        data += part
    ends = [number % 3 != 1 for number in range(len(requests))]  # some stores are of two requests
    needed = [sum(n for _, n in requests[:number + 1]) for number, last in enumerate(ends) if last]
    seen, answered = [0], []

    async def watch():
        """Beats written so far at every completed store."""
        while True:
            await RisingEdge(dut.clk)
            if int(dut.w_completed.value):
                answered.append(seen[0])
            seen[0] += int(dut.w_axi__wvalid.value) & int(dut.w_axi__wready.value)

    async def ask():
        for (address, beats), last in zip(requests, ends, strict=True):
            dut.w_ends.value = last
            await send(dut, "w_request", [address | beats << 36], rng, share)

    cocotb.start_soon(watch())
    cocotb.start_soon(ask())
    await send(dut, "w_data", data, random.Random(6), share)
    for _ in range(3):
        await RisingEdge(dut.clk)
    while not int(dut.w_idle.value):
        await RisingEdge(dut.clk)
    for _ in range(3):
        await RisingEdge(dut.clk)
    assert ram.read(0, SIZE) == bytes(model)
    assert len(answered) == len(needed) and all(a >= n for a, n in zip(answered, needed, strict=True))


@cocotb.test()
async def write_errors_and_aborts(dut):
    await reset(dut)
    ram = FaultyWrite(AxiWriteBus.from_prefix(dut, "w_axi_"), dut.clk, dut.rst, size=2 * SIZE)
    ram.log.setLevel(logging.CRITICAL)
    rng, errors = random.Random(7), []

    async def watch():
        while True:
            await RisingEdge(dut.clk)
            errors.append(int(dut.w_error.value))

    cocotb.start_soon(watch())
    cocotb.start_soon(send(dut, "w_request", [(SIZE // 16) | 3 << 36], rng, 0.0))
    await send(dut, "w_data", [1, 2, 3], rng, 0.0)
    for _ in range(20):
        await RisingEdge(dut.clk)
    assert sum(errors) == 1 and int(dut.w_idle.value)
    ram.w_channel.set_pause_generator(pauses(8, 0.3))
    for attempt in range(12):
        ram.write(0, b"\xa5" * 16384)
        sent = rng.randrange(0, 300)
        cocotb.start_soon(send(dut, "w_request", [0 | 600 << 36], rng, 0.0))
        for _ in range(rng.randrange(12)):
            await RisingEdge(dut.clk)
        await send(dut, "w_data", [attempt] * sent, rng, 0.0)
        dut.w_abort.value = 1
        for _ in range(4):
            await RisingEdge(dut.clk)
        while not int(dut.w_idle.value):
            await RisingEdge(dut.clk)
        dut.w_abort.value = 0
        for _ in range(rng.randrange(3, 40)):
            await RisingEdge(dut.clk)
        # what was sent arrived or not, nothing else was written
        memory = ram.read(0, 9600)
        fresh = attempt.to_bytes(16, "little")
        written = [memory[k:k + 16] == fresh for k in range(0, 9600, 16)]
        assert all(memory[k:k + 16] in (fresh, b"\xa5" * 16) for k in range(0, 9600, 16))
        assert sum(written) <= sent and written == sorted(written, reverse=True)


@cocotb.test()
async def registers_follow_their_description(dut):
    await reset(dut)
    master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "bus_"), dut.clk, dut.rst)
    for part in (master.write_if, master.read_if):
        quiet(part)
    rng = random.Random(9)
    if os.environ.get("PAUSES"):
        master.write_if.b_channel.set_pause_generator(pauses(1, 0.5))
        master.read_if.r_channel.set_pause_generator(pauses(2, 0.5))
    inputs, values = inputs_layout(True), values_layout(True)
    given = {name: rng.getrandbits(field.width) for name, field in inputs}
    given["irq_status_done"] = given["irq_status_error"] = 0
    dut.inputs.value = inputs.const(given).as_value().value
    state = {}
    events = {"external": [], "pulses": [], "touched": 0}

    async def watch():
        while True:
            await RisingEdge(dut.clk)
            external = int(dut.external.value)
            if external & 1:
                events["external"].append((external >> 1 & 0xFFF, external >> 13))
            events["touched"] += int(dut.touched.value)
            now = values.from_bits(int(dut.values.value))
            for register in register_map():
                for field in register.fields:
                    if field.pulse and getattr(now, register.signal(field)):
                        events["pulses"].append(register.signal(field))

    cocotb.start_soon(watch())

    def expected(register) -> int:
        word = 0
        for field in register.fields:
            if field.readable and not register.external:
                name = register.signal(field)
                word |= (state.get(name, field.reset) if field.writable else given[name]) << field.low
        return word

    for register in register_map():
        assert await master.read_dword(register.address) == expected(register), register.name
    for locked in (0, 1):
        dut.locked.value = locked
        for register in register_map():
            for value in (0xFFFFFFFF, rng.getrandbits(32), 0x01010101):
                before = dict(state)
                events["external"].clear()
                events["pulses"].clear()
                events["touched"] = 0
                await master.write_dword(register.address, value)
                for _ in range(4):
                    await RisingEdge(dut.clk)
                pulses, lockable = [], False
                for field in register.fields:
                    name, part = register.signal(field), value >> field.low & ((1 << field.width) - 1)
                    lockable |= field.lockable
                    if not field.writable or register.external or field.clear_by_one:
                        continue
                    if field.pulse:
                        pulses += [name] if part else []
                    elif not (field.lockable and locked):
                        state[name] = max(part, state.get(name, 0)) if field.rises else part
                assert sorted(events["pulses"]) == sorted(pulses), (register.name, hex(value))
                assert events["touched"] == int(lockable and not locked)
                assert events["external"] == ([(register.address, value)] if register.external else [])
                assert await master.read_dword(register.address) == expected(register), (register.name, before)
    # write 1 to clear, byte strobes, addresses without a register
    dut.inputs.value = inputs.const({**given, "irq_status_done": 1, "irq_status_error": 1}).as_value().value
    await RisingEdge(dut.clk)
    dut.inputs.value = inputs.const(given).as_value().value
    status = next(r for r in register_map() if r.name == "IRQ_STATUS").address
    assert await master.read_dword(status) == 3
    await master.write_dword(status, 2)
    assert await master.read_dword(status) == 1
    await master.write_dword(status, 1)
    assert await master.read_dword(status) == 0
    dut.locked.value = 0
    watchdog = next(r for r in register_map() if r.name == "WATCHDOG").address
    await master.write_dword(watchdog, 0x11223344)
    await master.write(watchdog + 1, b"\xaa\xbb")
    assert await master.read_dword(watchdog) == 0x11BBAA44
    taken = {r.address for r in register_map()}
    between = next(a for a in range(0, max(taken), 4) if a not in taken)
    for address in (between, 0x3FC, 0xFFC):
        await master.write_dword(address, 0xFFFFFFFF)
        assert await master.read_dword(address) == 0
