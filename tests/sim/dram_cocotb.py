"""cocotb side of test_dram_model.py."""

import logging
import os
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge
from cocotbext.axi import AxiBus, AxiMaster

BASE = 0x8_0000_0000


def exchange() -> Path:
    return Path(os.environ["EXCHANGE"])


async def cycles(dut, n: int) -> None:
    for _ in range(n):
        await FallingEdge(dut.clk)


async def reset(dut, **settings: int) -> None:
    dut.rst.value = 1
    dut.running.value = 0
    for name, value in settings.items():
        getattr(dut, name).value = value
    await cycles(dut, 3)
    dut.rst.value = 0
    await cycles(dut, 2)


async def load(dut, addr: int, data: bytes) -> None:
    (exchange() / "load_7.bin").write_bytes(data)
    dut.backdoor_file.value, dut.backdoor_addr.value, dut.backdoor_bytes.value = 7, addr, len(data)
    dut.load_toggle.value = 1 - int(dut.load_toggle.value)
    await cycles(dut, 2)


async def dump(dut, addr: int, size: int) -> bytes:
    dut.backdoor_file.value, dut.backdoor_addr.value, dut.backdoor_bytes.value = 9, addr, size
    dut.dump_toggle.value = 1 - int(dut.dump_toggle.value)
    await cycles(dut, 2)
    return (exchange() / "dump_9.bin").read_bytes()


async def traffic(dut, reading: int, writing: int, bursts: int, **settings: int) -> int:
    """Cycles that ``bursts`` bursts of 16 beats on each port and direction take."""
    await reset(dut, reading=reading, writing=writing, bursts=bursts, **settings)
    dut.running.value = 1
    await cycles(dut, 4)
    while int(dut.busy.value):
        await cycles(dut, 50)
    assert int(dut.violation.value) == 0
    assert int(dut.bursts_open.value) == 0
    return int(dut.cycles.value)


@cocotb.test()
async def latency_and_pooled_bandwidth(dut):
    Clock(dut.clk, 2, unit="ns").start()
    one = await traffic(dut, 0b001, 0, 1, pool_num=40, pool_den=1, read_latency=100)
    assert 100 + 16 <= one <= 100 + 20, one
    assert 100 <= int(dut.first_beat.value) <= 104
    bursts, beats = 200, 200 * 16
    for reading, writing, num, den in [(0b001, 0, 40, 1), (0b111, 0, 40, 1), (0b111, 0, 100, 3), (0b111, 0b111, 40, 1),
                                       (0, 0b111, 40, 1)]:
        ports = reading.bit_count() + writing.bit_count()
        taken = await traffic(dut, reading, writing, bursts, pool_num=num, pool_den=den)
        ideal = beats * ports * 16 / min(num / den, 16 * ports)
        dut._log.info(f"{ports} streams at {num}/{den} B/cycle: {taken} cycles, ideal {ideal:.0f}")
        assert ideal <= taken + 4 and taken <= ideal * 1.02 + 130


@cocotb.test()
async def data_by_backdoor_and_by_bus(dut):
    Clock(dut.clk, 2, unit="ns").start()
    master = AxiMaster(AxiBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst)
    for part in (master.write_if, master.read_if):
        part.log.setLevel(logging.WARNING)
    await reset(dut, stall=60, stall_seed=5)
    data = os.urandom(3 << 20)
    await load(dut, BASE + 0x40000, data)
    assert await dump(dut, BASE + 0x40000, len(data)) == data
    got = await master.read(BASE + 0x40000 + 0x1230, 10000)
    assert got.data == data[0x1230:0x1230 + 10000]
    text = os.urandom(5008)
    await master.write(BASE + 0x100000, text)
    assert await dump(dut, BASE + 0x100000, 5008) == text
    assert int(dut.violation.value) == 0
    assert (await master.read(BASE + 0x100003, 5)).data == text[3:8]
    assert int(dut.violation.value) == 1  # legal AXI, but not what an accelerator of this project may do
    dut.error_enable.value, dut.error_addr.value = 1, BASE + 0x5550
    assert (await master.read(BASE + 0x5000, 0x550)).resp == 0
    assert (await master.read(BASE + 0x5000, 0x560)).resp == 2
    assert (await master.read(BASE - 0x1000, 16)).resp == 3
    assert (await master.write(BASE + 0x5550, bytes(16))).resp == 2
