"""The load and the store program as the units see them."""

from __future__ import annotations

from dataclasses import dataclass

from hwgen.isa.layout import (
    LOAD_FIELDS,
    LOAD_STEP_FIELDS,
    LOAD_WORDS,
    STORE_FIELDS,
    STORE_STEP_FIELDS,
    STORE_WORDS,
    WORD_BYTES,
    LoadFlag,
    LoadKind,
    decode,
)


@dataclass(frozen=True, kw_only=True)
class LoadRun:
    """A load descriptor with the step descriptor before it.

    Args:
        encrypted: its segments are.
        beats: of a plane; full: of a full segment; dest: first activation word.
        row_words: of a protected feature map, whose rows are segments; 0: of nothing of the kind.
        words: program words of its descriptors.
    """

    kind: LoadKind
    resident: bool
    encrypted: bool
    beats: int
    full: int
    dest: int
    planes: int
    wait_progress: int
    wait_store: int
    words: int
    row_words: int = 0


@dataclass(frozen=True, kw_only=True)
class StoreRun:
    """A store descriptor with words, with the step descriptor before it.

    Args:
        source: first activation word; words: of a plane; row_words: of a row of a protected feature map, or 0.
        descriptors: that the store unit takes for it (those without words included).
    """

    source: int
    words: int
    planes: int
    wait_progress: int
    descriptors: int
    row_words: int = 0


@dataclass(frozen=True, kw_only=True)
class Header:
    """Word 0 of the program."""

    compute_at: int
    load_at: int
    store_at: int

    @classmethod
    def of(cls, program: bytes) -> Header:
        """Of a program image."""
        compute_at, load_at, store_at = (int.from_bytes(program[i:i + 2], "little") for i in (0, 2, 4))
        return cls(compute_at=compute_at, load_at=load_at, store_at=store_at)


def load_runs(program: bytes) -> list[LoadRun]:
    """The load program of a program image, END left out."""
    at = Header.of(program).load_at * WORD_BYTES
    out: list[LoadRun] = []
    without = {"wait_store": 0, "last_plane": 0, "row_words": 0}
    steps, words = without, 1
    while True:
        data = program[at:at + LOAD_WORDS * WORD_BYTES]
        load = decode(LOAD_FIELDS, data)
        at += LOAD_WORDS * WORD_BYTES
        flags = load["flags"]
        if flags >> LoadFlag.END & 1:
            return out
        if flags >> LoadFlag.STEPS & 1:
            steps, words = decode(LOAD_STEP_FIELDS, data), 2
            continue
        out.append(LoadRun(
            kind=LoadKind(load["kind"]), resident=bool(flags >> LoadFlag.RESIDENT & 1),
            encrypted=bool(flags >> LoadFlag.ENCRYPTED & 1), beats=load["beats"],
            full=1 << load["segment_log2"], dest=load["dest"], planes=steps["last_plane"] + 1,
            wait_progress=load["wait_progress"], wait_store=steps["wait_store"], words=words,
            row_words=steps["row_words"]))
        steps, words = without, 1


def store_runs(program: bytes) -> list[StoreRun]:
    """The store program of a program image."""
    at = Header.of(program).store_at * WORD_BYTES
    out: list[StoreRun] = []
    without = {"last_plane": 0, "row_words": 0}
    steps, taken = without, 0
    while True:
        data = program[at:at + STORE_WORDS * WORD_BYTES]
        store = decode(STORE_FIELDS, data)
        at += STORE_WORDS * WORD_BYTES
        taken += 1
        if store["steps"]:
            steps = decode(STORE_STEP_FIELDS, data)
            continue
        if store["words"]:
            out.append(StoreRun(source=store["src"], words=store["words"], planes=steps["last_plane"] + 1,
                                wait_progress=store["wait_progress"], descriptors=taken,
                                row_words=steps["row_words"]))
            taken = 0
        steps = without
        if store["last"]:
            return out
