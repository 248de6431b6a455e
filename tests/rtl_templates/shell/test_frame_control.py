"""The life of a frame, with everything around frame control played by the test bench."""

import pytest

from hwgen.isa.layout import ISA_VERSION, LoadKind
from rtl_templates.shell import frame_control
from rtl_templates.shell.error_codes import ErrorCode
from rtl_templates.shell.frame_control import FrameControl, header_layout
from tests.rtl_templates.shell.configs import small
from tests.rtl_templates.shell.sim_helpers import simulate

HEADER = {"compute_at": 30, "load_at": 1, "store_at": 20, "ring_lines": 40, "isa_version": ISA_VERSION}


async def pulse(ctx, signal):
    ctx.set(signal, 1)
    await ctx.tick()
    ctx.set(signal, 0)


async def start(ctx, dut, **settings):
    for name, value in {"program_beats": 77, "program_offset": 5, "program_flags": 1, "program_segment_log2": 7,
                        "quiet": 1, **settings}.items():
        ctx.set(getattr(dut, name), value)
    await ctx.tick()
    await pulse(ctx, dut.start)


async def load_program(ctx, dut, header=None):
    """Play load unit and program memory until the fetchers start."""
    await ctx.tick().until(dut.program.valid)
    program = ctx.get(dut.program.payload)
    assert (program.kind, program.beats, program.offset, program.flags, program.segment_log2) == (
        LoadKind.PROGRAM, 77, 5, 1, 7)
    await pulse(ctx, dut.program.ready)
    await ctx.tick().repeat(10)
    assert not ctx.get(dut.header_read.valid)
    ctx.set(dut.program_loaded, 64)
    ctx.set(dut.header_read.ready, 1)
    await ctx.tick().until(dut.header_read.valid)
    ctx.set(dut.program_loaded, 0)
    await ctx.tick().repeat(2)
    ctx.set(dut.header_data, header_layout().const(header or HEADER))
    await pulse(ctx, dut.header_valid)


async def ended(ctx, dut, scrub_cycles=20):
    """Play the scrubber; wait for the end of a frame with an error."""
    await ctx.tick().until(dut.scrub)
    ctx.set(dut.scrubbing, 1)
    await ctx.tick().repeat(scrub_cycles)
    assert ctx.get(dut.busy)
    ctx.set(dut.scrubbing, 0)
    await ctx.tick().until(dut.failed)
    await ctx.tick()
    assert not ctx.get(dut.busy) and not ctx.get(dut.abort) and not ctx.get(dut.resident)


def test_cold_then_warm_then_invalidated():
    dut = FrameControl(config=small())

    async def testbench(ctx):
        for kind in ("cold", "warm", "invalidated", "warm not allowed"):
            await start(ctx, dut, warm_enable=kind != "warm not allowed")
            assert ctx.get(dut.clear) and ctx.get(dut.key_start) and ctx.get(dut.busy)
            if kind == "warm":
                await ctx.tick().until(dut.fetch)
                assert ctx.get(dut.warm) and ctx.get(dut.limit) == 0xFFFF
            else:
                await load_program(ctx, dut)
                await ctx.tick().until(dut.fetch)
                assert not ctx.get(dut.warm)
            assert not ctx.get(dut.clear)
            assert [ctx.get(x) for x in (dut.compute_at, dut.load_at, dut.store_at, dut.ring_lines)] == [30, 1, 20, 40]
            await pulse(ctx, dut.start)  # ignored
            await ctx.tick().repeat(50)
            assert ctx.get(dut.busy) and not ctx.get(dut.resident)
            ctx.set(dut.finished, 1)
            await ctx.tick().until(dut.done)
            ctx.set(dut.finished, 0)
            await ctx.tick()
            assert ctx.get(dut.resident) and not ctx.get(dut.busy) and ctx.get(dut.error_code) == 0
            assert ctx.get(dut.cycles) > ctx.get(dut.program_cycles) > 0
            if kind == "warm":
                await pulse(ctx, dut.invalidate)
                assert not ctx.get(dut.resident)

    simulate(dut, testbench)


@pytest.mark.parametrize("source,code", [
    ("read_error", ErrorCode.READ_BUS), ("write_error", ErrorCode.WRITE_BUS), ("tag_error", ErrorCode.TAG),
    ("no_key", ErrorCode.NO_KEY), ("soft_reset", ErrorCode.ABORTED), ("zeroise", ErrorCode.ZEROISED)])
@pytest.mark.parametrize("delay", [1, 3, 8, 40])
def test_errors(source, code, delay):
    dut = FrameControl(config=small())

    async def testbench(ctx):
        await start(ctx, dut)
        await ctx.tick().repeat(delay)
        ctx.set(dut.tag_index, 1234)
        ctx.set(dut.quiet, 0)
        await pulse(ctx, getattr(dut, source))
        await ctx.tick().until(dut.abort)
        await ctx.tick().repeat(60)
        assert ctx.get(dut.abort) and ctx.get(dut.clear) and not ctx.get(dut.scrub)
        ctx.set(dut.quiet, 1)
        await ended(ctx, dut)
        assert ctx.get(dut.error_code) == code
        if code == ErrorCode.TAG:
            assert ctx.get(dut.error_segment) == 1234
        await start(ctx, dut)
        await load_program(ctx, dut)
        await ctx.tick().until(dut.fetch)
        assert ctx.get(dut.error_code) == 0

    simulate(dut, testbench)


@pytest.mark.parametrize("change", [{"isa_version": ISA_VERSION + 1}, {"compute_at": 256}, {"load_at": 4000},
                                    {"store_at": 0xFFFF}, {"ring_lines": 65}])
def test_bad_headers(change):
    dut = FrameControl(config=small())

    async def testbench(ctx):
        await start(ctx, dut)
        await load_program(ctx, dut, HEADER | change)
        for _ in range(10):
            assert not ctx.get(dut.fetch)
            await ctx.tick()
        await ended(ctx, dut)
        assert ctx.get(dut.error_code) == ErrorCode.PROGRAM

    simulate(dut, testbench)


def test_watchdog_and_old_version():
    dut = FrameControl(config=small())

    async def testbench(ctx):
        await start(ctx, dut, watchdog=100)
        await ctx.tick().repeat(90)
        assert not ctx.get(dut.abort)
        await ended(ctx, dut)
        assert ctx.get(dut.error_code) == ErrorCode.WATCHDOG
        await start(ctx, dut, watchdog=0, version=4, min_version=5)
        assert not ctx.get(dut.key_start)
        await ended(ctx, dut)
        assert ctx.get(dut.error_code) == ErrorCode.VERSION

    simulate(dut, testbench)


def test_zeroise_while_idle_erases_and_reports_nothing():
    dut = FrameControl(config=small())

    async def testbench(ctx):
        ctx.set(dut.quiet, 1)
        await pulse(ctx, dut.zeroise)
        await ctx.tick().until(dut.scrub)
        for _ in range(20):
            assert not ctx.get(dut.failed)
            await ctx.tick()
        assert not ctx.get(dut.busy)

    simulate(dut, testbench)


def test_a_bus_that_never_ends_its_bursts_is_reported(monkeypatch):
    monkeypatch.setattr(frame_control, "STUCK_CYCLES", 200)
    dut = FrameControl(config=small())

    async def testbench(ctx):
        await start(ctx, dut)
        ctx.set(dut.quiet, 0)
        await pulse(ctx, dut.read_error)
        await ctx.tick().until(dut.failed)
        assert ctx.get(dut.stuck) and ctx.get(dut.busy) and ctx.get(dut.error_code) == ErrorCode.READ_BUS
        await ctx.tick().repeat(300)
        ctx.set(dut.quiet, 1)  # after all
        await ctx.tick().until(dut.scrub)
        for _ in range(5):
            assert not ctx.get(dut.failed)
            await ctx.tick()
        assert not ctx.get(dut.busy) and not ctx.get(dut.stuck)

    simulate(dut, testbench)
