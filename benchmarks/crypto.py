"""What the crypto unit costs: cycles per segment in simulation, LUT, FF and levels of logic after Yosys.

    python benchmarks/crypto.py [--skip-synthesis] [--skip-simulation] [--bits 128 256] [--json FILE] [--write]

Simulation: segments of equal size in Verilator, memory and buffers always ready; ``gap`` is the number of cycles
between the tag beat of a segment and the first beat of the next, in which no beat is taken. Counted from the middle of
the series on, when the key stream that was made ahead is used up. Synthesis for UltraScale+ as of whole designs: large
modules and those that are placed several times apart and once, the others flattened. ``levels`` counts LUTs and carry
chains on the longest path, ``cells`` also the wide multiplexers that follow a LUT in its slice (this is Yosys's
``ltp``). ``--write`` updates docs/security.md.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from amaranth.lib import wiring
from docs_page import write_section
from rich.console import Console
from rich.table import Table

from hwgen.config.accelerator import AES_ROUNDS, aes_cycles
from hwgen.search.space import AES_CYCLES
from hwgen.synth.design import synthesise_design
from hwgen.synth.yosys import yosys_version
from hwgen_sim.cache import default_cache_dir
from hwgen_sim.component import Phase, build_component, run_component
from hwgen_sim.runner import Simulator
from rtl_templates.crypto.aes_iterative import AesIterative
from rtl_templates.crypto.aes_pipeline import AesPipeline
from rtl_templates.crypto.counter_feeder import CounterFeeder
from rtl_templates.crypto.gcm_engine import GcmEngine
from rtl_templates.crypto.gcm_stream import GcmStream
from rtl_templates.crypto.ghash import Ghash
from rtl_templates.crypto.interfaces import SegmentHeader
from rtl_templates.crypto.key_manager import KeyManager
from rtl_templates.crypto.keystream_fifo import KeystreamFifo
from rtl_templates.crypto.segment_bypass import SegmentBypass
from rtl_templates.crypto.timing import unrolled_rounds
from rtl_templates.verilog import convert

SEGMENT_BYTES = (64, 256, 1024, 2048, 4096, 16384)


def measure_segments(unit: Simulator, size: int, encrypted: bool) -> dict[str, Any]:
    """Cycles of a series of equal segments through a unit that has been built for simulation."""
    beats, count = size // 16, max(4, 4096 // size)
    rng = random.Random(size)
    headers = [SegmentHeader.const({"index": i, "length": beats, "flags": int(encrypted)}).as_bits()
               for i in range(count)]
    data = [rng.getrandbits(128) for _ in range(count * (beats + 1))]
    with tempfile.TemporaryDirectory() as folder:
        result = run_component(unit, Path(folder), [
            Phase(ports={"keys__valid": 1, "flush": 0}, wait=100),
            # the first headers are known ahead of the data, as they are in the accelerator
            Phase(send={"header": headers[:2]}),
            Phase(wait=60),
            Phase(send={"header": headers[2:], "data": data}, receive={"out": count * beats, "status": count}),
        ])[-1]
    moments, out, status = (result.moments[name] for name in ("data", "out", "status"))
    first = [moments[i * (beats + 1)] for i in range(count)]
    tag = [moments[(i + 1) * (beats + 1) - 1] for i in range(count)]
    pairs = list(zip(tag, first[1:], strict=False))
    middle = count // 2
    steady = (first[-1] - first[middle]) / (count - 1 - middle)
    return {
        "bytes": size, "encrypted": encrypted, "segments": count,
        "beats_per_cycle": (beats + 1) / steady,
        "gap": sum(b - a - 1 for a, b in pairs[1:]) / (count - 2),
        "data_to_out": out[beats - 1] - moments[beats - 1],
        "tag_to_status": status[0] - tag[0],
    }


def considered(bits: int) -> tuple[int, ...]:
    """Cycles per block that the search considers."""
    return (*AES_CYCLES, aes_cycles(bits)[-1])


def measure_module(name: str, component: wiring.Component) -> dict[str, Any]:
    """Size and depth of one module."""
    report = synthesise_design(convert(component, "top"), "top", "xcup", cache=default_cache_dir())
    return {"module": name, "lut": report.raw.lut, "ff": report.raw.ff, "levels": report.levels,
            "cells": max(len(part.path) for part, _ in report.parts)}


def modules(bits: int) -> dict[str, wiring.Component]:
    """The modules that depend on the key size, whole ones first; by cycles per block those that depend on them."""
    return {
        **{f"GcmStream {bits}, {n}": GcmStream(key_bits=bits, aes_cycles=n) for n in considered(bits)},
        **{f"AesPipeline {bits}, {n}": AesPipeline(key_bits=bits, cycles=n) for n in aes_cycles(bits)},
        f"KeyManager {bits}": KeyManager(key_bits=bits),
        f"AesIterative {bits}": AesIterative(key_bits=bits),
    }


def common_modules() -> dict[str, wiring.Component]:
    """Parts that are the same for all key sizes."""
    return {
        "Ghash": Ghash(),
        "GcmEngine (any message)": GcmEngine(),
        "CounterFeeder": CounterFeeder(depth=32),
        "KeystreamFifo": KeystreamFifo(depth=32),
        "SegmentBypass": SegmentBypass(),
    }


def show(title: str, rows: list[dict[str, Any]]) -> None:
    """A table of equal dictionaries."""
    table = Table(title=title, title_justify="left")
    for name in rows[0]:
        table.add_column(name, justify="left" if name == "module" else "right")
    for row in rows:
        table.add_row(*(f"{v:.4f}" if isinstance(v, float) and v != int(v) else
                        f"{v:.0f}" if isinstance(v, float) else str(v) for v in row.values()))
    Console(width=120).print(table)


def rates_table(figures: dict[str, Any], bits: int) -> str:
    """Markdown: beats per cycle by size of the segments and cycles per block."""
    units = {rows[0]["cycles"]: rows for rows in figures[f"segments_{bits}"]}
    lines = ["| bytes | " + " | ".join(f"encrypted, {n} cycles a block" for n in units) + " | authenticated only |",
             "|" + "---:|" * (len(units) + 2)]
    plain = [row for row in units[1] if not row["encrypted"]]
    for size, last in zip(SEGMENT_BYTES, plain, strict=True):
        own = [row["beats_per_cycle"] for rows in units.values() for row in rows
               if row["encrypted"] and row["bytes"] == size]
        lines.append(f"| {size:,} | " + " | ".join(f"{v:.3f}" for v in [*own, last["beats_per_cycle"]]) + " |")
    return "\n".join(lines)


def sizes_table(figures: dict[str, Any]) -> str:
    """Markdown: what synthesis said, and the line through the sizes of a decryptor by the rounds it has."""
    lines = [f"{figures['yosys'].split(' (')[0]}, UltraScale+.", "", "| module | LUT | FF | levels |",
             "|---|---:|---:|---:|"]
    lines += [f"| `{r['module'].split()[0]}` {' '.join(r['module'].split()[1:])} | {r['lut']:,.0f} | {r['ff']:,.0f} "
              f"| {r['levels']} |" for r in figures["modules"]]
    for bits, line in fits(figures["modules"]).items():
        lines += ["", f"`GcmStream {bits}` by rounds r: "
                  + ", ".join(f"{a:,.0f} + {b:,.0f} r {name.upper()}" for name, (a, b) in line.items()) + "."]
    return "\n".join(lines)


def fits(rows: list[dict[str, Any]]) -> dict[int, dict[str, tuple[float, float]]]:
    """Least squares of LUT and FF of ``GcmStream`` over the rounds that are built: constant, per round."""
    out: dict[int, dict[str, tuple[float, float]]] = {}
    for bits in AES_ROUNDS:
        own = {n: row for n in considered(bits) for row in rows if row["module"] == f"GcmStream {bits}, {n}"}
        if own:
            rounds = [unrolled_rounds(bits, n) for n in own]
            out[bits] = {}
            for name in ("lut", "ff"):
                slope, constant = np.polyfit(rounds, [row[name] for row in own.values()], 1)
                out[bits][name] = (float(constant), float(slope))
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bits", type=int, nargs="+", default=[128, 256], choices=[128, 256])
    parser.add_argument("--skip-synthesis", action="store_true")
    parser.add_argument("--skip-simulation", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    options = parser.parse_args()
    figures: dict[str, Any] = {"yosys": yosys_version()}
    if not options.skip_simulation:
        for bits in options.bits:
            units = []
            for n in considered(bits):
                unit = build_component(GcmStream(key_bits=bits, aes_cycles=n))
                rows = [{"cycles": n, **measure_segments(unit, size, encrypted)}
                        for encrypted in ((True, False) if n == 1 else (True,)) for size in SEGMENT_BYTES]
                show(f"GcmStream {bits}, {n} cycles a block, segments back to back", rows)
                units.append(rows)
            figures[f"segments_{bits}"] = units
            print(f"KeyManager {bits}: {KeyManager(key_bits=bits).latency} cycles from start to valid keys")
        bypass = build_component(SegmentBypass())
        figures["segments_bypass"] = [measure_segments(bypass, size, False) for size in SEGMENT_BYTES]
        show("SegmentBypass, segments back to back", figures["segments_bypass"])
    if not options.skip_synthesis:
        chosen = {**{k: v for bits in options.bits for k, v in modules(bits).items()}, **common_modules()}
        figures["modules"] = []
        for name, component in chosen.items():
            figures["modules"].append(measure_module(name, component))
            print(figures["modules"][-1], flush=True)
        show(f"Synthesis, {figures['yosys']}", figures["modules"])
        print(sizes_table(figures).splitlines()[-1])
    if options.write:
        if not options.skip_simulation:
            write_section("rates", rates_table(figures, options.bits[0]), "security.md")
        if not options.skip_synthesis:
            write_section("sizes", sizes_table(figures), "security.md")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
