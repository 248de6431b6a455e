"""Image -> a description for people (text) and machines (JSON): header, runs, program."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hwgen.errors import HwgenError
from hwgen.image.reader import Image
from hwgen.image.sealer import Sealer, Unsealed
from hwgen.isa import layout as isa
from hwgen.isa.layout import ComputeFlag, LoadFlag, LoadKind, Opcode


def describe_image(image: Image, sealer: Sealer | None = None) -> dict[str, Any]:
    """JSON-ready description.

    Args:
        sealer: opens segments (``ImageSealer.for_header``); without it an encrypted program is left out,
            a plain one is shown unverified.

    Raises:
        HwgenError: a tag does not match.
    """
    header = image.header
    encrypted = sum(16 * r.beats for r in image.runs if r.flags >> LoadFlag.ENCRYPTED & 1)
    out: dict[str, Any] = {
        "model": image.metadata["model"],
        "header": {
            "isa_version": header.isa_version, "debug": header.debug, "image_id": header.image_id.hex(),
            "version": header.version, "salt": header.salt.hex(), "config_fingerprint": header.config_fingerprint.hex(),
            "segments": header.segments, "payload_bytes": 16 * header.payload_beats,
        },
        "config": image.config.to_dict(),
        "input": image.input.to_dict(),
        "output": image.output.to_dict(),
        "bytes": {"payload": sum(16 * r.beats for r in image.runs), "encrypted": encrypted,
                  "tags": 16 * header.segments},
        "runs": [describe_run(r.kind, r.flags, {
            "segment_log2": r.segment_log2, "beats": r.beats, "offset": r.offset, "dest": r.dest, "index": r.index,
            "segments": r.segments}) for r in image.runs],
        "program": None,
    }
    program = program_of(image, sealer)
    if program is not None:
        out["program"] = describe_program(program)
    return out


def program_of(image: Image, sealer: Sealer | None) -> bytes | None:
    """Plaintext program, verified if ``sealer`` is given; None when it is encrypted and there is no sealer."""
    run = image.runs[0]
    if sealer is None and run.flags >> LoadFlag.ENCRYPTED & 1:
        return None
    parts = []
    for segment in image.segments():
        if segment.run is run:
            parts.append(segment.open(sealer or Unsealed()))
    return b"".join(parts)


def verify_segments(image: Image, sealer: Sealer) -> int:
    """Open every segment; the number of segments. HwgenError names the first one whose tag does not match."""
    count = 0
    for segment in image.segments():
        segment.open(sealer)
        count += 1
    return count


def describe_run(kind: int, flags: int, rest: dict[str, Any]) -> dict[str, Any]:
    """Names for kind and flags."""
    return {"kind": LoadKind(kind).name, "flags": [f.name for f in LoadFlag if flags >> f & 1], **rest}


def describe_program(program: bytes) -> dict[str, Any]:
    """Decoded program memory image.

    Raises:
        HwgenError: it is no program (truncated, or of another version).
    """
    word = int.from_bytes(program[:16], "little")
    at = {"compute": word & 0xFFFF, "load": word >> 16 & 0xFFFF, "store": word >> 32 & 0xFFFF}
    version = word >> 72 & 0xFF
    if version != isa.ISA_VERSION:
        raise HwgenError(f"program of instruction set version {version}", allowed=str(isa.ISA_VERSION))
    loads, stores, computes = [], [], []
    steps: dict[str, int] = {}
    for data in _descriptors(program, at["load"], isa.LOAD_WORDS):
        values = isa.decode(isa.LOAD_FIELDS, data)
        if values["flags"] >> LoadFlag.END & 1:
            break
        if values["flags"] >> LoadFlag.STEPS & 1:
            steps = _steps(isa.LOAD_STEP_FIELDS, data, ("wait_store", "last_plane", "offset_step", "dest_step"))
            continue
        values, steps = {**values, **steps}, {}
        kind, flags = values.pop("kind"), values.pop("flags")
        loads.append(describe_run(kind, flags, values))
    steps = {}
    for data in _descriptors(program, at["store"], isa.STORE_WORDS):
        values = isa.decode(isa.STORE_FIELDS, data)
        if values["steps"]:
            steps = _steps(isa.STORE_STEP_FIELDS, data, ("last_plane", "src_step", "offset_step"))
            continue
        stores.append({**values, **steps})
        steps = {}
        if values["last"]:
            break
    for data in _descriptors(program, at["compute"], isa.COMPUTE_WORDS):
        values: dict[str, Any] = dict(isa.decode(isa.COMPUTE_FIELDS, data))
        if values["opcode"] == Opcode.END:
            break
        values["opcode"] = Opcode(values["opcode"]).name
        flags = values.pop("flags")
        computes.append({"flags": [f.name for f in ComputeFlag if flags >> f & 1], **values})
    return {"words": len(program) // 16, "ring_lines": word >> 48 & 0xFFFFFF, "isa_version": version, **{
        f"{k}_at": v for k, v in at.items()}, "load": loads, "store": stores, "compute": computes}


def _steps(fields: tuple[isa.Field, ...], data: bytes, names: tuple[str, ...]) -> dict[str, int]:
    """What a step descriptor says about the transfer behind it."""
    values = isa.decode(fields, data)
    return {name: values[name] for name in names}


def _descriptors(program: bytes, at: int, words: int) -> Iterable[bytes]:
    size = words * isa.WORD_BYTES
    position = at * isa.WORD_BYTES
    while True:
        data = program[position:position + size]
        if len(data) < size:
            raise HwgenError(f"the program ends inside a descriptor at word {position // 16}")
        yield data
        position += size


def image_text(description: dict[str, Any]) -> str:
    """``describe_image`` as lines for a terminal."""
    header, size = description["header"], description["bytes"]
    lines = [
        f"model {description['model']}   id {header['image_id']}   version {header['version']}"
        + ("   DEBUG IMAGE" if header["debug"] else ""),
        f"instruction set {header['isa_version']}   configuration {header['config_fingerprint']}   "
        f"salt {header['salt']}",
        f"{size['payload']} bytes in {header['segments']} segments, {size['encrypted']} encrypted, "
        f"{size['tags']} of tags",
        _io_line("input", description["input"]), _io_line("output", description["output"]), "",
        "runs        kind         flags               beats  segments  offset      dest  index",
    ]
    for number, run in enumerate(description["runs"]):
        flags = ",".join(run["flags"]) or "-"
        place = f"{run['offset']:>8}{run['dest']:>10}{run['index']:>7}"
        lines.append(f"  {number:<10}{run['kind']:<13}{flags:<20}{run['beats']:>5}{run['segments']:>10}{place}")
    program = description["program"]
    if program is None:
        return "\n".join([*lines, "", "program: encrypted (give the key to see it)"])
    return "\n".join([*lines, "", program_text(program)])


def _io_line(name: str, layout: dict[str, Any]) -> str:
    shape = "×".join(str(layout[k]) for k in ("channels", "height", "width"))
    return f"{name} {layout['kind']} {shape}, {layout['bytes']} bytes, plane stride {layout['plane_stride']}"


def _planes(transfer: dict[str, Any], step: str) -> str:
    """Planes of a transfer and the stores it waits for, if it has a step descriptor."""
    if "last_plane" not in transfer:
        return ""
    text = f" planes={transfer['last_plane'] + 1} at +{transfer['offset_step']}, on the chip +{transfer[step]}"
    return text + (f" wait=store{transfer['wait_store']}" if "wait_store" in transfer else "")


def program_text(program: dict[str, Any]) -> str:
    """``describe_program`` as an assembler-like listing."""
    lines = [f"program: {program['words']} words, ring of {program['ring_lines']} lines", "", "load"]
    for number, load in enumerate(program["load"]):
        flags = "".join(f" {f}" for f in load["flags"])
        lines.append(f"  {number:>4} {load['kind']}{flags} beats={load['beats']} at={load['offset']} "
                     f"dest={load['dest']} index={load['index']} segment=2^{load['segment_log2']} "
                     f"wait={load['wait_progress']}{_planes(load, 'dest_step')}")
    lines += ["", "store"]
    for number, store in enumerate(program["store"]):
        where = "SCRATCH " if store["scratch"] else ""
        lines.append(f"  {number:>4} {where}words={store['words']} from={store['src']} to={store['offset']} "
                     f"wait={store['wait_progress']}{_planes(store, 'src_step')}")
    lines += ["", "compute"]
    for number, d in enumerate(program["compute"]):
        counts = "×".join(str(d[f"last_{n}"] + 1) for n in isa.LOOP_NAMES)
        flags = "".join(f" {f}" for f in d["flags"])
        text = (f"  {number:>4} {d['opcode']}{flags} loops={counts} "
                f"src={d['src_base']}@({d['iy_base']},{d['ix_base']}) of {d['height']}×{d['width']} "
                f"dst={d['dst_base']}+{d['dst_plane']} clamp={d['lo']}..{d['hi']} "
                f"weights={d['weight_seq']}@{d['weight_line']} steps={d['steps']}")
        if "RESIDUAL" in d["flags"]:
            text += f" res={d['res_base']}+{d['res_plane']}"
        if "LOCAL_WEIGHTS" in d["flags"]:
            text += f" tiles@{d['tile_line']}"
        if d["wait_act"] or d["wait_progress"] or d["wait_store"]:
            text += f" wait=act{d['wait_act']},progress{d['wait_progress']},store{d['wait_store']}"
        lines.append(text)
    return "\n".join(lines)
