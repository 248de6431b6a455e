"""Program memory: header word, load, store and compute descriptors; offsets and segment numbers of all runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hwgen.compiler.descriptor import Descriptor
from hwgen.compiler.loads import LoadProgram
from hwgen.compiler.stream import Run
from hwgen.compiler.transfer import Load, Store, address
from hwgen.config.accelerator import AcceleratorConfig
from hwgen.errors import HwgenError
from hwgen.isa import layout as isa
from hwgen.isa.layout import ISA_VERSION, LoadFlag, LoadKind, Opcode

#: 2 KiB: segments of the program, and with it the first ones of a frame
PROGRAM_SEGMENT_LOG2 = 7
#: the input is dealt to the ports in pieces of 1 KiB (it has no tags)
INPUT_SEGMENT_LOG2 = 6


def build_program(
    loads: LoadProgram, stores: Sequence[Store], descriptors: Sequence[Descriptor], *, ring_lines: int,
    config: AcceleratorConfig, encrypt: bool,
) -> tuple[Run, ...]:
    """All runs of the image with offsets and indices; the first carries the program.

    Raises:
        HwgenError: the program exceeds program memory, or a field its width.
    """
    program = Run(kind=LoadKind.PROGRAM, flags=int(encrypt) << LoadFlag.ENCRYPTED, segment_log2=PROGRAM_SEGMENT_LOG2,
                  payload=b"")
    # the size does not depend on where the runs lie
    load_words = sum(len(text) for text in _loads(loads.entries, loads.runs, config)) // isa.WORD_BYTES
    store_text = _stores(stores, config)
    load_at = 1
    store_at = load_at + load_words
    compute_at = store_at + len(store_text) // isa.WORD_BYTES
    words = compute_at + (len(descriptors) + 1) * isa.COMPUTE_WORDS
    if words > config.program_words:
        raise HwgenError(
            f"the program takes {words} words ({len(descriptors)} compute descriptors), program memory has "
            f"{config.program_words}", where="config.program_words", hint="a configuration with more program_words",
        )
    program = replace(program, payload=bytes(words * isa.WORD_BYTES))
    placed, offset, index = [], 0, 0
    for run in (program, *loads.runs):
        placed.append(replace(run, offset=offset, index=index))
        offset += run.stored_beats
        index += run.segments
    text = [_header(compute_at, load_at, store_at, ring_lines), *_loads(loads.entries, placed[1:], config), store_text]
    text += [d.encode() for d in descriptors]
    text.append(isa.encode(isa.COMPUTE_FIELDS, {"opcode": Opcode.END}))
    payload = b"".join(text)
    assert len(payload) == words * isa.WORD_BYTES
    placed[0] = replace(placed[0], payload=payload)
    return tuple(placed)


def _loads(entries: Sequence[int | Load], runs: Sequence[Run], config: AcceleratorConfig) -> list[bytes]:
    text = []
    for entry in entries:
        text += _strip_load(entry, config) if isinstance(entry, Load) else _run_load(runs[entry])
    return [*text, isa.encode(isa.LOAD_FIELDS, {"flags": 1 << LoadFlag.END})]


def _strip_load(load: Load, config: AcceleratorConfig) -> list[bytes]:
    box, p_i, text = load.box, config.p_i, []
    offset_step = load.region.stored_beats(load.region.plane, p_i)
    if box.planes > 1 or load.wait_store or load.region.row:
        text.append(isa.encode(isa.LOAD_STEP_FIELDS, {
            "flags": 1 << LoadFlag.STEPS, "wait_store": load.wait_store, "last_plane": box.planes - 1,
            "offset_step": offset_step if box.planes > 1 else 0,
            "dest_step": box.step if box.planes > 1 else 0, "row_words": load.region.row}))
    return [*text, isa.encode(isa.LOAD_FIELDS, {
        "kind": LoadKind.INPUT, "flags": int(load.region.scratch) << LoadFlag.SCRATCH,
        "segment_log2": INPUT_SEGMENT_LOG2, "wait_progress": load.wait_progress,
        "beats": load.region.payload_beats(box.words, p_i),
        "offset": address(load, p_i), "dest": box.start})]


def _run_load(run: Run) -> list[bytes]:
    text = []
    if run.wait_store:
        text.append(isa.encode(isa.LOAD_STEP_FIELDS, {"flags": 1 << LoadFlag.STEPS, "wait_store": run.wait_store}))
    return [*text, isa.encode(isa.LOAD_FIELDS, {
        "kind": run.kind, "flags": run.flags, "segment_log2": run.segment_log2, "wait_progress": run.wait_progress,
        "beats": run.beats, "offset": run.offset, "dest": run.dest, "index": run.index})]


def _stores(stores: Sequence[Store], config: AcceleratorConfig) -> bytes:
    text = []
    for position, store in enumerate(stores):
        box = store.box
        row = store.region.row
        if box.planes > 1 or row:
            text.append(isa.encode(isa.STORE_STEP_FIELDS, {
                "steps": 1, "last_plane": box.planes - 1, "src_step": box.step,
                "offset_step": store.region.stored_beats(store.region.plane, config.p_i), "row_words": row,
                "stored_beats": store.region.stored_beats(box.words, config.p_i) if row else 0}))
        text.append(isa.encode(isa.STORE_FIELDS, {
            "last": int(position == len(stores) - 1), "scratch": int(store.region.scratch),
            "wait_progress": store.wait_progress, "src": box.start, "words": box.words,
            "offset": address(store, config.p_i)}))
    return b"".join(text) or isa.encode(isa.STORE_FIELDS, {"last": 1})


def _header(compute_at: int, load_at: int, store_at: int, ring_lines: int) -> bytes:
    word = compute_at | load_at << 16 | store_at << 32 | ring_lines << 48 | ISA_VERSION << 72
    return word.to_bytes(isa.WORD_BYTES, "little")
