"""Compiled network -> model image."""

from __future__ import annotations

import json
import os
import tempfile
import zlib
from pathlib import Path

from hwgen.compiler.result import CompiledNetwork
from hwgen.image.layout import DEBUG_FLAG, FIXED_BYTES, PAYLOAD_ALIGN, ImageHeader, config_fingerprint, pack_header
from hwgen.image.sealer import Sealer, associated_flags
from hwgen.isa.layout import ISA_VERSION


def build_image(network: CompiledNetwork, sealer: Sealer) -> bytes:
    """The whole file: header, metadata, sealed segments (``hwgen.image.sealing.sealer_for`` makes a sealer)."""
    payload = bytearray()
    for run in network.runs:
        assert len(payload) == 16 * run.offset
        flags = associated_flags(run.kind, run.flags)
        for number, chunk in enumerate(run.chunks()):
            payload += sealer.seal(run.index + number, run.dest, flags, chunk)
    metadata = json.dumps(_metadata(network), separators=(",", ":")).encode()
    program = network.runs[0]
    header = ImageHeader(
        isa_version=ISA_VERSION, image_flags=DEBUG_FLAG if network.dumps else 0,
        header_bytes=-(-(FIXED_BYTES + len(metadata)) // PAYLOAD_ALIGN) * PAYLOAD_ALIGN, image_id=sealer.image_id,
        version=sealer.version, salt=sealer.salt, config_fingerprint=config_fingerprint(network.config),
        program_offset=program.offset, program_beats=program.beats, program_flags=program.flags,
        program_segment_log2=program.segment_log2, program_index=program.index, segments=network.segments,
        payload_beats=len(payload) // 16, metadata_bytes=len(metadata), payload_crc=zlib.crc32(payload),
    )
    return pack_header(header, metadata) + bytes(payload)


def write_image(path: Path, image: bytes) -> None:
    """Write atomically: the file is complete or absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(image)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _metadata(network: CompiledNetwork) -> dict[str, object]:
    return {
        "model": network.name,
        "labels": list(network.labels),
        "config": network.config.to_dict(),
        "input": network.input.to_dict(),
        "output": network.output.to_dict(),
        "runs": [
            {"kind": int(r.kind), "flags": r.flags, "segment_log2": r.segment_log2, "beats": r.beats,
             "offset": r.offset, "dest": r.dest, "index": r.index} for r in network.runs],
        "output_bytes": network.output_bytes,
        "scratch_bytes": network.scratch_bytes,
        "dumps": [{"name": name, **layout.to_dict()} for name, layout in network.dumps],
    }
