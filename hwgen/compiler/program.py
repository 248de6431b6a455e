"""Program memory: header word, load, store and compute descriptors; offsets and segment numbers of all runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hwgen.compiler.descriptor import Descriptor
from hwgen.compiler.input_plan import InputLoad
from hwgen.compiler.stream import Run
from hwgen.config.accelerator import AcceleratorConfig
from hwgen.errors import HwgenError
from hwgen.isa import layout as isa
from hwgen.isa.layout import ISA_VERSION, LoadFlag, LoadKind, Opcode

#: 2 KiB: segments of the program, and with it the first ones of a frame
PROGRAM_SEGMENT_LOG2 = 7
#: the input is dealt to the ports in pieces of 1 KiB (it has no tags)
INPUT_SEGMENT_LOG2 = 6


@dataclass(frozen=True)
class Store:
    """``words`` activation words from ``src`` on, after ``wait_progress`` descriptors, to ``offset`` (in beats)."""

    src: int
    words: int
    offset: int
    wait_progress: int


def build_program(
    inputs: Sequence[InputLoad], runs: Sequence[Run], stores: Sequence[Store], descriptors: Sequence[Descriptor],
    *, ring_lines: int, config: AcceleratorConfig, encrypt: bool, early_runs: int,
) -> tuple[Run, ...]:
    """All runs of the image with offsets and indices; the first carries the program.

    Args:
        early_runs: runs that are loaded between the first piece of the input and the rest of it.

    Raises:
        HwgenError: the program exceeds program memory, or a field its width.
    """
    load_at = 1
    store_at = load_at + (len(inputs) + len(runs) + 1) * isa.LOAD_WORDS
    compute_at = store_at + max(1, len(stores)) * isa.STORE_WORDS
    words = compute_at + (len(descriptors) + 1) * isa.COMPUTE_WORDS
    if words > config.program_words:
        raise HwgenError(
            f"the program takes {words} words ({len(descriptors)} compute descriptors), program memory has "
            f"{config.program_words}", where="config.program_words", hint="a configuration with more program_words",
        )
    program = Run(kind=LoadKind.PROGRAM, flags=int(encrypt) << LoadFlag.ENCRYPTED, segment_log2=PROGRAM_SEGMENT_LOG2,
                  payload=bytes(words * isa.WORD_BYTES))
    placed, offset, index = [], 0, 0
    for run in (program, *runs):
        placed.append(replace(run, offset=offset, index=index))
        offset += run.stored_beats
        index += run.segments
    text = [_header(compute_at, load_at, store_at, ring_lines)]
    text += [_input_load(load) for load in inputs[:1]]
    text += [_run_load(run) for run in placed[1:1 + early_runs]]
    text += [_input_load(load) for load in inputs[1:]]
    text += [_run_load(run) for run in placed[1 + early_runs:]]
    text.append(isa.encode(isa.LOAD_FIELDS, {"flags": 1 << LoadFlag.END}))
    for position, store in enumerate(stores or [Store(0, 0, 0, 0)]):
        text.append(isa.encode(isa.STORE_FIELDS, {
            "last": int(position >= len(stores) - 1), "wait_progress": store.wait_progress, "src": store.src,
            "words": store.words, "offset": store.offset}))
    text += [d.encode() for d in descriptors]
    text.append(isa.encode(isa.COMPUTE_FIELDS, {"opcode": Opcode.END}))
    payload = b"".join(text)
    assert len(payload) == words * isa.WORD_BYTES
    placed[0] = replace(placed[0], payload=payload)
    return tuple(placed)


def _input_load(load: InputLoad) -> bytes:
    return isa.encode(isa.LOAD_FIELDS, {
        "kind": LoadKind.INPUT, "segment_log2": INPUT_SEGMENT_LOG2, "beats": load.beats, "offset": load.offset,
        "dest": load.dest})


def _run_load(run: Run) -> bytes:
    return isa.encode(isa.LOAD_FIELDS, {
        "kind": run.kind, "flags": run.flags, "segment_log2": run.segment_log2, "wait_progress": run.wait_progress,
        "beats": run.beats, "offset": run.offset, "dest": run.dest, "index": run.index})


def _header(compute_at: int, load_at: int, store_at: int, ring_lines: int) -> bytes:
    word = compute_at | load_at << 16 | store_at << 32 | ring_lines << 48 | ISA_VERSION << 72
    return word.to_bytes(isa.WORD_BYTES, "little")
