"""Bit layouts of the program's descriptors, the one source for compiler, hardware, disassembler and docs/isa.md.

Fields are packed from bit 0 upwards in the order given; a descriptor is a whole number of 16-byte words, little-endian.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from hwgen.errors import HwgenError

ISA_VERSION = 3
WORD_BYTES = 16
LOOPS = 6
#: conv: x, y, kx, ky, input block, output block; pool: kx, ky, x, y, (1), output block;
#: window: input x, input y, output x, output y, (1), channel block
LOOP_NAMES = ("l0", "l1", "l2", "l3", "l4", "l5")


class Opcode(IntEnum):
    """What a compute descriptor does."""

    END = 0  #: end of the frame's compute program
    CONV = 1  #: weight-stationary convolution / matrix product
    MAXPOOL = 2
    AVGPOOL = 3  #: window sum, then requantise
    WINDOW_CONV = 4  #: depthwise convolution in the window unit
    WINDOW_MAX = 5  #: maximum over a window, in the window unit


class ComputeFlag(IntEnum):
    """Bits of the compute descriptor's ``flags``."""

    PAIR = 0  #: two pixels x p_o/2 output channels
    RESIDUAL = 1  #: add residual * R
    RAW = 2  #: int32 accumulators + bias leave unrequantised, 4 bytes each
    DRAIN = 3  #: wait until every earlier write has landed before the first read
    LOCAL_WEIGHTS = 4  #: tiles lie in weight memory already (reconstructed kernel): no watermark
    RELEASE = 5  #: last use of these lines of the weight stream: free them while fetching
    TO_WEIGHTS = 6  #: results go to weight memory (dst in granules of p_i bytes), for reconstruction; PAIR only


class LoadKind(IntEnum):
    """Where a load goes."""

    WEIGHTS = 0  #: next lines of the weight ring
    ACTIVATIONS = 1  #: activation memory at ``dest``
    PROGRAM = 2  #: program memory at ``dest`` (only issued by the frame control itself)
    INPUT = 3  #: activation memory, from the input or scratch address; not authenticated (but protected feature maps)


class LoadFlag(IntEnum):
    """Bits of the load descriptor's ``flags``."""

    ENCRYPTED = 0  #: segments are AES-GCM ciphertext; otherwise plain and authenticated
    RESIDENT = 1  #: skipped while the buffers still hold this image's data (warm frames)
    END = 2  #: end of the load program (nothing else in this descriptor counts)
    SCRATCH = 3  #: of an INPUT load: from the scratch address, where earlier stores of the frame put it
    STEPS = 4  #: no load, but the planes of the next one and what it waits for (a load step descriptor)


@dataclass(frozen=True)
class Field:
    """One bit field."""

    name: str
    width: int
    signed: bool
    text: str


def _f(name: str, width: int, text: str, signed: bool = False) -> Field:
    return Field(name, width, signed, text)


ACT_ADDR_BITS = 20
#: counters of retired compute descriptors, landed activation loads and completed stores, and what waits for them
COUNT_BITS = 16
LINE_BITS = 20
SEQ_BITS = 24
COORD_BITS = 12

COMPUTE_FIELDS: tuple[Field, ...] = (
    _f("opcode", 4, "Opcode"),
    _f("flags", 12, "ComputeFlag bits"),
    *(_f(f"last_{n}", 12, f"loop {n}: count - 1") for n in LOOP_NAMES),
    _f("src_base", ACT_ADDR_BITS, "activation word read first (may wrap below zero under padding)"),
    *(_f(f"src_jump_{n}", ACT_ADDR_BITS, f"added to the source address when loop {n} steps (inner loops restart)", True)
      for n in LOOP_NAMES),
    _f("iy_base", COORD_BITS, "input row of the first read", True),
    *(_f(f"iy_jump_{n}", COORD_BITS, f"added to the input row when loop {n} steps", True) for n in LOOP_NAMES),
    _f("ix_base", COORD_BITS, "input column of the first read", True),
    *(_f(f"ix_jump_{n}", COORD_BITS, f"added to the input column when loop {n} steps", True) for n in LOOP_NAMES),
    _f("height", COORD_BITS, "input rows; reads outside [0, height) give the padding value"),
    _f("width", COORD_BITS, "input columns"),
    _f("dst_base", ACT_ADDR_BITS, "first output word (granule of weight memory with TO_WEIGHTS)"),
    _f("dst_jump_x", ACT_ADDR_BITS, "added to the output address at the next pixel (pair) of a row", True),
    _f("dst_jump_y", ACT_ADDR_BITS, "... at the next row", True),
    _f("dst_jump_o", ACT_ADDR_BITS, "... at the next output block", True),
    _f("dst_plane", ACT_ADDR_BITS, "distance of the second output word (next channel block); odd"),
    _f("res_base", ACT_ADDR_BITS,
       "first residual word; window: number of the source word (from 0, in reading order) that is the first output's "
       "last tap"),
    _f("res_jump_x", ACT_ADDR_BITS, "like dst_jump_x; window: distance to the next output's last tap", True),
    _f("res_jump_y", ACT_ADDR_BITS, "like dst_jump_y", True),
    _f("res_jump_o", ACT_ADDR_BITS, "like dst_jump_o", True),
    _f("res_plane", ACT_ADDR_BITS, "distance of the second residual word, pool: of the second input word; odd"),
    _f("last_words", 1, "0: the last output block has one word, 1: two (p_o = 2*p_i, not PAIR)"),
    _f("lo", 8, "lower clamp bound", True),
    _f("hi", 8, "upper clamp bound", True),
    _f("weight_line", LINE_BITS, "weight-memory line of the first parameter record of output block 0"),
    _f("weight_seq", SEQ_BITS, "the same line counted from the start of the frame's weight stream"),
    _f("tile_line", LINE_BITS, "LOCAL_WEIGHTS: line of the first tile (output blocks follow one another)"),
    _f("steps", 16, "weight tiles per output block (conv); 0 for pools"),
    _f("wait_act", COUNT_BITS, "activation loads (input included) that must have landed"),
    _f("wait_progress", COUNT_BITS,
       "compute descriptors that must have retired before the first read or write (LOCAL_WEIGHTS: before the tiles are "
       "fetched, too)"),
    _f("wait_store", COUNT_BITS, "stores that must be complete before the first read or write"),
)

LOAD_FIELDS: tuple[Field, ...] = (
    _f("kind", 2, "LoadKind"),
    _f("flags", 6, "LoadFlag bits"),
    _f("segment_log2", 4, "log2 of a full segment's payload in 16-byte beats (7: 2 KiB, 10: 16 KiB)"),
    _f("wait_progress", COUNT_BITS, "compute descriptors that must have retired before this load starts"),
    _f("beats", 24, "payload of the run (of a plane of it) in 16-byte beats; full segments but the last"),
    _f("offset", 28, "first beat's distance from the image (INPUT: input, SCRATCH: scratch) address, in 16-byte units"),
    _f("dest", 24, "activation word or program word; weights: 0"),
    _f("index", 20, "segment index of the run's first segment"),
)

LOAD_STEP_FIELDS: tuple[Field, ...] = (
    _f("kind", 2, "0"),
    _f("flags", 6, "STEPS alone"),
    _f("wait_store", COUNT_BITS, "stores that must be complete before the next load starts"),
    _f("last_plane", 12, "planes of the next load: count - 1"),
    _f("offset_step", 28, "distance of the planes in memory, in 16-byte units"),
    _f("dest_step", ACT_ADDR_BITS, "distance of the planes in activation memory, in words"),
    _f("row_words", 12, "protected feature maps, SCRATCH: words of a row; every row is a segment with a tag"),
)

STORE_FIELDS: tuple[Field, ...] = (
    _f("last", 1, "1: the store program ends behind this descriptor"),
    _f("steps", 1, "1: no store, but the planes of the next one (a store step descriptor)"),
    _f("scratch", 1, "1: to the scratch address, 0: to the output address"),
    _f("wait_progress", COUNT_BITS, "compute descriptors that must have retired before this store starts"),
    _f("src", ACT_ADDR_BITS, "first activation word"),
    _f("words", ACT_ADDR_BITS, "activation words to copy (of a plane); 0: nothing"),
    _f("offset", 28, "distance from the output or scratch address, in 16-byte units"),
)

STORE_STEP_FIELDS: tuple[Field, ...] = (
    _f("last", 1, "0"),
    _f("steps", 1, "1"),
    _f("last_plane", 12, "planes of the next store: count - 1"),
    _f("src_step", ACT_ADDR_BITS, "distance of the planes in activation memory, in words"),
    _f("offset_step", 28, "distance of the planes in memory, in 16-byte units"),
    _f("row_words", 12, "protected feature maps, scratch: words of a row; every row is a segment with a tag"),
    _f("stored_beats", 23, "... 16-byte units that a plane's rows take in memory, tags included"),
)


def words_of(fields: tuple[Field, ...]) -> int:
    """16-byte words that a descriptor of ``fields`` takes."""
    return -(-sum(f.width for f in fields) // (8 * WORD_BYTES))


COMPUTE_WORDS = words_of(COMPUTE_FIELDS)
LOAD_WORDS = words_of(LOAD_FIELDS)
STORE_WORDS = words_of(STORE_FIELDS)


def encode(fields: tuple[Field, ...], values: Mapping[str, int]) -> bytes:
    """Pack ``values`` (missing fields are 0).

    Raises:
        HwgenError: unknown field, or a value outside its field's range.
    """
    unknown = set(values) - {f.name for f in fields}
    if unknown:
        raise HwgenError(f"unknown descriptor fields {sorted(unknown)}")
    word, at = 0, 0
    for f in fields:
        value = int(values.get(f.name, 0))
        low, high = (-(1 << (f.width - 1)), (1 << (f.width - 1)) - 1) if f.signed else (0, (1 << f.width) - 1)
        if not low <= value <= high:
            raise HwgenError(f"descriptor field {f.name} = {value} does not fit", allowed=f"{low}..{high}")
        word |= (value & ((1 << f.width) - 1)) << at
        at += f.width
    return word.to_bytes(words_of(fields) * WORD_BYTES, "little")


def decode(fields: tuple[Field, ...], data: bytes) -> dict[str, int]:
    """Inverse of ``encode``."""
    word, out = int.from_bytes(data, "little"), {}
    for f in fields:
        value = word & ((1 << f.width) - 1)
        word >>= f.width
        if f.signed and value >> (f.width - 1):
            value -= 1 << f.width
        out[f.name] = value
    return out
