"""The sequencer against nested loops: addresses, padding and tags of every pixel, waits and gaps."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass
from typing import Any

import pytest
from amaranth.sim import Simulator

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.isa.layout import ACT_ADDR_BITS, ComputeFlag, Opcode
from rtl_templates.engine.descriptor import compute_layout
from rtl_templates.engine.sequencer import RAW_INTERVAL, PadMode, Sequencer, read_layout, tag_layout
from rtl_templates.engine.timing import ACCUMULATOR_REVISIT

CONFIG = AcceleratorConfig(p_i=8, p_o=16, acc_depth=64)
_WRAP = (1 << ACT_ADDR_BITS) - 1


@dataclass(frozen=True)
class Layer:
    """A descriptor, and the reads and tags that it must give, in order."""

    fields: dict[str, int]
    pixels: list[tuple[dict[str, int], dict[str, int]]]
    steps: int
    blocks: int


def jumps(strides: list[int], counts: list[int]) -> list[int]:
    """Strides per loop as what is added when a loop steps and the inner ones restart."""
    return [stride - sum(strides[j] * (counts[j] - 1) for j in range(k)) for k, stride in enumerate(strides)]


def layer(rng: random.Random, opcode: Opcode, *, raw: bool = False, pair: bool = False) -> Layer:
    """A random layer; the innermost loop comes first."""
    pool = opcode is not Opcode.CONV
    width, height, kx, ky = (rng.randrange(1, 6), rng.randrange(1, 5), rng.randrange(1, 4), rng.randrange(1, 4))
    counts = [kx, ky, width, height, 1, rng.randrange(1, 4)] if pool else [
        width, height, kx, ky, rng.randrange(1, 3), rng.randrange(1, 4)]
    out = (2, 3, 5) if pool else (0, 1, 5)
    coordinates = {"ix": [1, 0, 2, 0, 0, 0] if pool else [1 + pair, 0, 1, 0, 0, 0],
                   "iy": [0, 1, 0, 2, 0, 0] if pool else [0, 1, 0, 1, 0, 0]}
    base = {"ix": -rng.randrange(2), "iy": -rng.randrange(2), "src": rng.randrange(512), "dst": rng.randrange(512),
            "res": rng.randrange(512)}
    strides = {"src": [rng.randrange(40) for _ in counts], **coordinates}
    result = {name: [rng.randrange(60) for _ in out] for name in ("dst", "res")}
    residual = not pool and not raw and rng.random() < 0.5
    fields = {
        "opcode": opcode, "lo": rng.randrange(-128, 0), "hi": rng.randrange(128),
        "flags": pair << ComputeFlag.PAIR | raw << ComputeFlag.RAW | residual << ComputeFlag.RESIDUAL,
        "height": rng.randrange(1, 7), "width": rng.randrange(1, 7), "dst_plane": 2 * rng.randrange(50) + 1,
        "res_plane": 2 * rng.randrange(50) + 1, "last_words": rng.getrandbits(1),
        **{f"last_l{k}": count - 1 for k, count in enumerate(counts)}, **{f"{n}_base": v for n, v in base.items()},
        **{f"{n}_jump_l{k}": jump for n, s in strides.items() for k, jump in enumerate(jumps(s, counts))},
        **{f"{n}_jump_{axis}": jump for n, s in result.items()
           for axis, jump in zip("xyo", jumps(s, [counts[k] for k in out]), strict=True)}}
    pixels = []
    for at in (i[::-1] for i in itertools.product(*(range(c) for c in reversed(counts)))):
        src, ix, iy = (base[n] + sum(a * s for a, s in zip(at, strides[n], strict=True)) for n in ("src", "ix", "iy"))
        dst, res = (base[n] + sum(at[k] * s for k, s in zip(out, result[n], strict=True)) for n in ("dst", "res"))
        rows = 0 <= iy < fields["height"]
        inside = int(rows and 0 <= ix < fields["width"])
        inside |= int(rows and 0 <= ix + pair < fields["width"]) << 1
        inner = (0, 1) if pool else (2, 3, 4)
        emit = all(at[k] == counts[k] - 1 for k in inner)
        second = 1 if pair else int(at[5] < counts[5] - 1 or fields["last_words"])
        tag = {"first": int(all(at[k] == 0 for k in inner)), "emit": int(emit), "pool": int(pool), "pair": int(pair),
               "block_end": int(all(at[k] == counts[k] - 1 for k in range(5))), "raw": int(raw), "second": second,
               "residual": int(residual), "lo": fields["lo"] & 255, "hi": fields["hi"], "plane": fields["dst_plane"]}
        if not pool:
            tag["row"] = at[0] + width * at[1]
        if emit:
            tag |= {"dst": dst & _WRAP, "dst_second": dst + (1 if pair else fields["dst_plane"]) & _WRAP,
                    "res": res & _WRAP, "res_second": res + (1 if pair else fields["res_plane"]) & _WRAP}
        read = {"valid": (3 if pool or pair else 1) & inside, "inside": inside, "pair": int(pair), "pool": int(pool),
                "addr0": src & _WRAP, "addr1": src + (fields["res_plane"] if pool else 1) & _WRAP,
                "swap": int(not pool and at[:2] == (0, 0)), "maximum": int(opcode is Opcode.MAXPOOL),
                "pad": (PadMode.LOWEST if opcode is Opcode.MAXPOOL else PadMode.ZERO).value}
        pixels.append((read, tag))
    steps = 0 if pool else counts[2] * counts[3] * counts[4] * counts[5]
    return Layer(fields, pixels, steps, counts[5])


@pytest.mark.parametrize("gap", [0.0, 0.6])
def test_programs(gap: float) -> None:
    rng = random.Random(int(10 * gap) + 1)
    layers = [layer(rng, Opcode.CONV), layer(rng, Opcode.CONV, pair=True), layer(rng, Opcode.MAXPOOL),
              layer(rng, Opcode.AVGPOOL), layer(rng, Opcode.CONV, raw=True)] + [
        layer(rng, rng.choice([Opcode.CONV, Opcode.MAXPOOL])) for _ in range(3)]
    dut: Any = Sequencer(config=CONFIG)
    seen: list[tuple[int, Any, Any]] = []
    counted = {"tile_taken": 0, "block_started": 0, "busy": 0}
    loaded_at, retired = 150, [0]

    async def feed(ctx: Any) -> None:
        programs = [{**each.fields, "wait_act": number > 1, "wait_progress": min(number, 3)}
                    for number, each in enumerate(layers)]
        for fields in (*programs, {"opcode": Opcode.END}):
            while rng.random() < gap:
                await ctx.tick()
            ctx.set(dut.descriptors.payload, fields)
            ctx.set(dut.descriptors.valid, 1)
            await ctx.tick().until(dut.descriptors.ready)
            ctx.set(dut.descriptors.valid, 0)

    async def watch(ctx: Any) -> None:
        for cycle in range(20_000):
            ctx.set(dut.tile_ready, int(rng.random() >= gap))
            ctx.set(dut.parameters_ready, int(rng.random() >= gap))
            ctx.set(dut.act_loaded, int(cycle >= loaded_at))
            ctx.set(dut.progress, sum(at + 20 < cycle for at in retired[1:]))
            if ctx.get(dut.retired):
                retired.append(cycle)
            for name in counted:
                counted[name] += ctx.get(getattr(dut, name))
            tag = ctx.get(dut.tag)
            if tag.valid:
                seen.append((cycle, ctx.get(dut.read), tag))
            if ctx.get(dut.finished):
                return
            await ctx.tick()
        pytest.fail("not finished")

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(watch)
    simulator.add_testbench(feed)
    simulator.run()

    expected = [pixel for each in layers for pixel in each.pixels]
    assert len(seen) == len(expected)
    for number, ((_, read, tag), (want_read, want_tag)) in enumerate(zip(seen, expected, strict=True)):
        for layout, found, want in ((read_layout(), read, want_read), (tag_layout(CONFIG), tag, want_tag)):
            assert set(want) <= {name for name, _ in layout}
            assert {name: value(getattr(found, name)) for name in want} == want, number
    assert counted == {"tile_taken": sum(each.steps for each in layers),
                       "block_started": sum(each.blocks for each in layers), "busy": len(expected)}
    assert len(retired) == len(layers) + 1
    check_distances(layers, [cycle for cycle, _, _ in seen], loaded_at, retired)


def value(field: Any) -> int:
    """A field as a number."""
    return int(getattr(field, "value", field))


def check_distances(layers: list[Layer], moments: list[int], loaded_at: int, retired: list[int]) -> None:
    """A row is not revisited too early, raw pixels are apart, nothing runs ahead of activations or of descriptors."""
    at = 0
    for number, each in enumerate(layers):
        last_row: dict[int, int] = {}
        for (_, tag), before, now in zip(each.pixels, [-RAW_INTERVAL, *moments[at:]], moments[at:], strict=False):
            if "row" in tag:
                assert now - last_row.get(tag["row"], -ACCUMULATOR_REVISIT) >= ACCUMULATOR_REVISIT
                last_row[tag["row"]] = now
            if tag["raw"]:
                assert now - before >= RAW_INTERVAL
            assert number < 2 or now > loaded_at
            assert number == 0 or now > retired[min(number, 3)] + 20
        at += len(each.pixels)


def test_fields_are_those_of_the_descriptor() -> None:
    names = {name for name, _ in compute_layout()}
    assert set(layer(random.Random(0), Opcode.CONV).fields) <= names
